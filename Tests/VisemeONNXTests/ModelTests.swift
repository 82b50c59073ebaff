import Foundation
import Testing
import VisemeTestSupport
import Viseme

@testable import VisemeONNX

@Suite("Models on ONNX Runtime", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct ModelTests {
    static let pixels = 320 * 320

    @Test("Names and shapes are read from the file", arguments: ["encoder.onnx", "encoder-static.onnx"])
    func describesEncoder(name: String) throws {
        let description = try Runtime.described(.audioEncoder, name).description
        let isStatic = name.contains("static")
        #expect(description.inputs.map(\.name) == [isStatic ? "mel_input" : "mel"])
        #expect(description.inputs.map(\.shapeText) == [isStatic ? "[1,1,80,16]" : "[B,1,80,16]"])
        #expect(description.outputs.map(\.shapeText) == [isStatic ? "[1,512]" : "[B,512]"])
        #expect(description.sha256 == ModelFile.sha256(of: try Data(contentsOf: Runtime.model(name))))
    }

    @Test(
        "The encoder gives what Python's ONNX Runtime gives, with a dynamic and with a fixed batch",
        arguments: ["encoder.onnx", "encoder-static.onnx"])
    func encodes(name: String) async throws {
        let encoder = try await Runtime.backend().audioEncoder(Runtime.described(.audioEncoder, name), threads: 1)
        let rows = try await encoder.encode(Runtime.floats("encoder.input.f32"), count: 3)
        let expected = try Runtime.floats("encoder.output.f32")
        #expect(rows.count == expected.count)
        #expect(zip(rows, expected).allSatisfy { abs($0 - $1) < 1e-4 })
        #expect(rows.contains { $0 > 0 })
        #expect(encoder.runtime.runtime == "ONNX Runtime")
        #expect(encoder.runtime.provider == "CPU")
        #expect(encoder.runtime.threads == 1)
        #expect(try await encoder.encode([], count: 0).isEmpty)
    }

    @Test("One window alone equals the same window in a batch of 16, bit for bit")
    func batchIndependent() async throws {
        let encoder = try await Runtime.backend().audioEncoder(
            Runtime.described(.audioEncoder, "encoder.onnx"), threads: 1)
        let windows = randomFloats(16 * 1280, in: -4...4, seed: 16)
        let together = try await encoder.encode(windows, count: 16)
        var alone: [Float] = []
        for k in 0..<16 { alone += try await encoder.encode(Array(windows[k * 1280..<(k + 1) * 1280]), count: 1) }
        #expect(alone.map(\.bitPattern) == together.map(\.bitPattern))
    }

    @Test("Two threads give what one gives, bit for bit, and a second session too")
    func threadIndependent() async throws {
        let windows = randomFloats(8 * 1280, in: -4...4, seed: 17)
        var results: [[UInt32]] = []
        for threads in [1, 2, 1] {
            let encoder = try await Runtime.backend().audioEncoder(
                Runtime.described(.audioEncoder, "encoder.onnx"), threads: threads)
            #expect(encoder.runtime.threads == threads)
            results.append(try await encoder.encode(windows, count: 8).map(\.bitPattern))
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    @Test("The identity generator returns the roi exactly, whatever it hears")
    func identity() async throws {
        let generator = try await Runtime.backend().generator(
            Runtime.described(.generator, "identity.onnx"), threads: 1)
        #expect(generator.imageSize.width == 320)
        let image = randomFloats(6 * Self.pixels, in: 0...1, seed: 1)
        for level in [Float(0), 3] {
            let mouth = try await generator.generate(image: image, audio: [Float](repeating: level, count: 8192))
            #expect(mouth == Array(image.prefix(3 * Self.pixels)))
        }
    }

    @Test(
        "A generator that hears changes the mouth, and only there",
        arguments: ["generator.onnx", "generator-static.onnx"])
    func hears(name: String) async throws {
        let generator = try await Runtime.backend().generator(Runtime.described(.generator, name), threads: 1)
        let image = [Float](repeating: 0.25, count: 6 * Self.pixels)
        let silent = try await generator.generate(image: image, audio: [Float](repeating: 0, count: 8192))
        let loud = try await generator.generate(image: image, audio: [Float](repeating: 0.5, count: 8192))
        #expect(silent == [Float](repeating: 0.25, count: 3 * Self.pixels))
        for (x, y, isMouth) in [
            (160, 210, true), (100, 190, true), (219, 249, true), (99, 210, false), (160, 189, false),
            (160, 250, false),
        ] {
            #expect(abs(loud[Self.pixels + y * 320 + x] - (isMouth ? 0.6 : 0.25)) < 1e-5, "\(x),\(y)")
        }
    }

    @Test("A 160-pixel generator says so")
    func legacy() async throws {
        let generator = try await Runtime.backend().generator(
            Runtime.described(.generator, "generator-160.onnx"), threads: 1)
        #expect(generator.imageSize.width == 160)
        #expect(
            try await generator.generate(
                image: [Float](repeating: 0, count: 6 * 25600), audio: [Float](repeating: 0, count: 8192)
            ).count == 3 * 25600)
    }

    @Test("Many sessions run at once and do not disturb one another")
    func concurrent() async throws {
        let backend = try Runtime.backend()
        let model = try Runtime.described(.generator, "generator.onnx")
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for seed in 0..<6 {
                let generator = try await backend.generator(model, threads: 1)
                group.addTask {
                    let image = randomFloats(6 * Self.pixels, in: 0...1, seed: UInt64(seed))
                    let silence = [Float](repeating: 0, count: 8192)
                    for _ in 0..<3 {
                        guard
                            try await generator.generate(image: image, audio: silence)
                                == Array(image.prefix(3 * Self.pixels))
                        else { return false }
                    }
                    return true
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }

    /// A broken file and words that its error must hold.
    @Test(
        "A broken model is bad data, and the error names the file and what is wrong with it",
        arguments: [
            ("broken-truncated.onnx", ModelRole.audioEncoder, "loading"),
            ("broken-garbage.onnx", .audioEncoder, "loading"),
            ("broken-empty.onnx", .generator, "loading"), ("broken-encoder-operator.onnx", .audioEncoder, "Frobnicate"),
            ("broken-encoder-rank.onnx", .audioEncoder, "'mel' [B,80,16]"),
            ("broken-encoder-shape.onnx", .audioEncoder, "'mel' [B,1,80,20]"),
            ("broken-encoder-half.onnx", .audioEncoder, "float32"),
            ("broken-generator-audio.onnx", .generator, "'audio' [B,32,32,32]"),
            ("generator.onnx", .audioEncoder, "expected one tensor [B,1,80,16]"),
            ("encoder.onnx", .generator, "expected one tensor [B,6,S,S]"),
        ])
    func broken(name: String, role: ModelRole, text: String) throws {
        let error = #expect(throws: VisemeError.self) { try Runtime.backend().describe(role, at: Runtime.model(name)) }
        #expect(error?.code == .badData)
        #expect(error?.message.contains(name) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
        #expect(error?.hint != nil)
    }

    @Test("Every truncation of a model is refused, and none traps")
    func truncations() throws {
        let whole = try Data(contentsOf: Runtime.model("generator.onnx"))
        let folder = FileManager.default.temporaryDirectory.appending(path: "viseme-onnx-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }  // the system clears its temporary folder anyway
        let url = folder.appending(path: "cut.onnx")
        for length in stride(from: 0, to: whole.count, by: 5) {
            try whole.prefix(length).write(to: url)
            let error = #expect(throws: VisemeError.self, "\(length) bytes") {
                try Runtime.backend().describe(.generator, at: url)
            }
            #expect(error?.code == .badData)
        }
    }

    @Test("A missing model is no input")
    func missing() throws {
        let error = #expect(throws: VisemeError.self) {
            try Runtime.backend().describe(.generator, at: URL(filePath: "/nowhere/g.onnx"))
        }
        #expect(error?.code == .noInput)
        #expect(error?.message.contains("/nowhere/g.onnx") == true)
    }

    @Test("A model whose hash is not the manifest's is not loaded")
    func wrongHash() async throws {
        var description = try Runtime.described(.generator, "generator.onnx").description
        description.sha256 = String(repeating: "0", count: 64)
        let model = ModelFile(description, at: Runtime.model("generator.onnx"))
        let error = await #expect(throws: VisemeError.self) { try await Runtime.backend().generator(model, threads: 1) }
        #expect(error?.code == .badData)
        #expect(error?.message.contains("SHA-256") == true)
    }

    @Test("A manifest that names other tensors or shapes than the file is refused by name")
    func manifestDisagrees() async throws {
        var description = try Runtime.described(.generator, "generator.onnx").description
        description.inputs[1].shape = [.batch, .fixed(32), .fixed(32), .fixed(32)]
        let shape = await #expect(throws: VisemeError.self) {
            try await Runtime.backend().generator(
                ModelFile(description, at: Runtime.model("generator.onnx")), threads: 1)
        }
        #expect(shape?.code == .badData)
        #expect(shape?.message.contains("'audio' as [B,32,16,16], the pack says [B,32,32,32]") == true)
        description.inputs[1].name = "sound"
        let name = await #expect(throws: VisemeError.self) {
            try await Runtime.backend().generator(
                ModelFile(description, at: Runtime.model("generator.onnx")), threads: 1)
        }
        #expect(name?.message.contains("'audio'") == true && name?.message.contains("'sound'") == true)
        // A batch in the manifest may be one in the file.
        var encoder = try Runtime.described(.audioEncoder, "encoder-static.onnx").description
        encoder.inputs[0].shape[0] = .batch
        _ = try await Runtime.backend().audioEncoder(
            ModelFile(encoder, at: Runtime.model("encoder-static.onnx")), threads: 1)
    }

    @Test("A model that answers NaN loads, and its answer is not hidden")
    func notANumber() async throws {
        let encoder = try await Runtime.backend().audioEncoder(
            Runtime.described(.audioEncoder, "broken-encoder-nan.onnx"), threads: 1)
        let rows = try await encoder.encode([Float](repeating: 0, count: 1280), count: 1)
        #expect(rows.contains { $0.isNaN })
        let generator = try await Runtime.backend().generator(
            Runtime.described(.generator, "broken-generator-nan.onnx"), threads: 1)
        let mouth = try await generator.generate(
            image: [Float](repeating: 0, count: 6 * Self.pixels), audio: [Float](repeating: 0, count: 8192))
        #expect(mouth.contains { $0.isNaN })
    }
}
