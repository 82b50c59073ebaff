import Testing

@testable import Viseme

@Suite("Tensor contracts")
struct TensorBindingTests {
    private func tensor(_ name: String, _ shape: [Int]) -> TensorDescription {
        TensorDescription(name: name, shape: shape.map { $0 == 0 ? .batch : .fixed($0) })
    }

    /// Binds a generator whose manifest says what the file does, unless told otherwise.
    private func bind(
        _ inputs: [TensorDescription], _ outputs: [TensorDescription], declared: [TensorDescription]? = nil,
        contract: TensorContract = GeneratorFamily.syncTalk2D.generator
    ) throws -> TensorBinding {
        let model = ModelDescription(
            role: .generator, file: "g.onnx", sha256: "", inputs: declared ?? inputs, outputs: outputs)
        return try TensorBinding(contract, inputs: inputs, outputs: outputs, of: model)
    }

    private var image: TensorDescription { tensor("visual", [0, 6, 320, 320]) }
    private var audio: TensorDescription { tensor("sound", [0, 32, 16, 16]) }
    private var mouth: TensorDescription { tensor("var_7", [0, 3, 320, 320]) }

    @Test("Tensors are found by role and axes, whatever their names and order")
    func roles() throws {
        let binding = try bind([audio, image], [tensor("other", [0, 7]), mouth])
        #expect(binding.picture == PixelSize(square: 320))
        #expect([binding[.image], binding[.audio], binding[.mouth]] == [image, audio, mouth])
        #expect(binding.slot(.audio) == TensorSlot("sound", [1, 32, 16, 16]))
        #expect(binding.slot(.mouth, count: 3) == TensorSlot("var_7", [3, 3, 320, 320]))
        #expect(binding.isBatched(.image))
        #expect(try !bind([audio, tensor("i", [1, 6, 320, 320])], [mouth]).isBatched(.image))
    }

    @Test("An only output without a shape can be no other")
    func shapeless() throws {
        let mouth = tensor("var_7", [])
        let model = ModelDescription(
            role: .generator, file: "g.mlpackage", sha256: "", inputs: [image, audio],
            outputs: [tensor("var_7", [1, 3, 320, 320])])
        let binding = try TensorBinding(
            GeneratorFamily.syncTalk2D.generator, inputs: [image, audio], outputs: [mouth], of: model)
        #expect(binding.slot(.mouth) == TensorSlot("var_7", [1, 3, 320, 320]))
    }

    /// A mismatch and the words of its error.
    struct Mismatch: CustomTestStringConvertible {
        var testDescription: String
        var inputs: [(String, [Int])] = [("i", [0, 6, 320, 320]), ("a", [0, 32, 16, 16])]
        var outputs: [(String, [Int])] = [("o", [0, 3, 320, 320])]
        var declared: [(String, [Int])]?
        var says: [String]
    }

    static let mismatches = [
        Mismatch(
            testDescription: "no image", inputs: [("a", [0, 32, 16, 16])],
            says: ["[B,6,S,S]", "image input", "'a' [B,32,16,16]"]),
        Mismatch(
            testDescription: "other audio", inputs: [("i", [0, 6, 320, 320]), ("a", [0, 32, 32, 32])],
            says: ["[B,32,16,16]", "audio input", "'a' [B,32,32,32]"]),
        Mismatch(
            testDescription: "two images", inputs: [("i", [0, 6, 320, 320]), ("j", [0, 6, 320, 320])],
            says: ["expected one tensor [B,6,S,S]", "'i'", "'j'"]),
        Mismatch(
            testDescription: "oblong", inputs: [("i", [0, 6, 320, 300]), ("a", [0, 32, 16, 16])],
            says: ["[B,6,320,300]", "expected squares"]),
        Mismatch(
            testDescription: "tiny", inputs: [("i", [0, 6, 8, 8]), ("a", [0, 32, 16, 16])], says: ["expected squares"]),
        Mismatch(
            testDescription: "mouth of another size", outputs: [("o", [0, 3, 160, 160])],
            says: ["[B,3,320,320]", "mouth", "'o' [B,3,160,160]"]),
        Mismatch(testDescription: "no output", outputs: [], says: ["found none"]),
        Mismatch(
            testDescription: "a batch of four", inputs: [("i", [4, 6, 320, 320]), ("a", [0, 32, 16, 16])],
            says: ["'i' [4,6,320,320]"]),
        Mismatch(
            testDescription: "other name in the manifest",
            declared: [("i", [0, 6, 320, 320]), ("sound", [0, 32, 16, 16])],
            says: ["the manifest names 'i', 'sound'", "'a'"]),
        Mismatch(
            testDescription: "other shape in the manifest",
            declared: [("i", [0, 6, 320, 320]), ("a", [0, 32, 32, 32])],
            says: ["wants 'a' as [B,32,16,16], the pack says [B,32,32,32]"]),
    ]

    @Test(
        "What does not fit is bad data, and the error says what was expected and what was found", arguments: mismatches)
    func mismatch(_ mismatch: Mismatch) throws {
        let error = #expect(throws: VisemeError.self) {
            try bind(
                mismatch.inputs.map(tensor), mismatch.outputs.map(tensor), declared: mismatch.declared?.map(tensor))
        }
        #expect(error?.code == .badData && error?.hint != nil)
        for word in ["Generator 'g.onnx'"] + mismatch.says {
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
        }
    }

    @Test("Names decide between tensors of the same axes")
    func twins() throws {
        let contract = TensorContract(
            inputs: [
                .init(.mel, "first", name: "first", [.fixed(8)]), .init(.audio, "second", name: "second", [.fixed(8)]),
            ], outputs: [])
        let (first, second) = (tensor("first", [0, 8]), tensor("second", [0, 8]))
        let binding = try bind([second, first], [], contract: contract)
        #expect([binding[.mel], binding[.audio]] == [first, second])
        let error = #expect(throws: VisemeError.self) {
            try bind([first, tensor("other", [0, 8])], [], contract: contract)
        }
        #expect(error?.message.contains("'other' [B,8]") == true)
    }
}
