import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeModels

@Suite("Damaged model files")
struct ModelFuzzTests {
    /// A network of one operation of each kind, so small that every truncation can be tried.
    static func tiny() throws -> ModelGraph {
        func weight(_ name: String, _ shape: [Int]) -> StoredTensor {
            StoredTensor(name: name, shape: shape, floats: randomFloats(shape.reduce(1, *), in: -1...1, seed: 5))
        }
        let weights = [weight("w", [2, 1, 3, 3]), weight("b", [2])]
        return ModelGraph(
            inputs: [TensorDescription(name: "x", shape: [.fixed(1), .fixed(1), .fixed(2), .fixed(2)])],
            outputs: [TensorDescription(name: "y", shape: [.fixed(1), .fixed(64)])],
            nodes: [
                .init(
                    .convolution(Convolution(padding: [1, 1, 1, 1])), name: "conv", inputs: ["x", "w", "b"], output: "c"
                ),
                .init(.relu, name: "relu", inputs: ["c"], output: "r"),
                .init(.add, name: "add", inputs: ["c", "r"], output: "a"),
                .init(.concatenate, name: "concat", inputs: ["a", "r"], output: "k"),
                .init(.upsample, name: "up", inputs: ["k"], output: "u"),
                .init(.sigmoid, name: "sigmoid", inputs: ["u"], output: "s"),
                .init(.reshape([64]), name: "flat", inputs: ["s"], output: "y"),
            ], weights: Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0) }))
    }

    /// The tiny network as a package; its reshape would drop more than ones, so it ends before.
    static func tinyPackage() throws -> ModelPackage {
        var graph = try tiny()
        graph.nodes.removeLast()
        graph.outputs = [TensorDescription(name: "s", shape: [.fixed(1), .fixed(4), .fixed(4), .fixed(4)])]
        return try MLProgramWriter.package(graph, family: .audioEncoder)
    }

    /// The operations that the compact family has beside those: as small.
    static func tinySound() throws -> ModelGraph {
        func weight(_ name: String, _ shape: [Int]) -> StoredTensor {
            StoredTensor(name: name, shape: shape, floats: randomFloats(shape.reduce(1, *), in: 0.5...1, seed: 6))
        }
        let weights = [
            weight("w", [4, 2, 2]), weight("m", [16, 4]), weight("n", [16]), weight("one", []), weight("row", [1, 16]),
        ]
        let nodes: [(VisemeModels.Operation, [String])] = [
            (.transpose([0, 2, 1]), ["x"]),
            (.convolution(Convolution(strides: [1], padding: [0, 0], dilations: [2])), ["0", "w"]),
            (.slice(axis: 2, 1..<2), ["1"]), (.reshape([4]), ["2"]), (.linear, ["3", "m", "n"]),
            (.subtract, ["one", "4"]), (.divide, ["5", "one"]), (.multiply, ["6", "row"]), (.minimum, ["7", "one"]),
            (.maximum, ["8", "7"]), (.softmax, ["9"]), (.concatenate, ["10", "9"]), (.reshape([8, 2, 2]), ["11"]),
            (.pixelShuffle(2), ["12"]),
        ]
        return ModelGraph(
            inputs: [TensorDescription(name: "x", shape: [.fixed(1), .fixed(4), .fixed(2)])],
            outputs: [TensorDescription(name: "13", shape: [.fixed(1), .fixed(2), .fixed(4), .fixed(4)])],
            nodes: nodes.enumerated().map { .init($1.0, name: "n\($0)", inputs: $1.1, output: "\($0)") },
            weights: Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0) }))
    }

    static func tinySoundPackage() throws -> ModelPackage {
        var graph = try tinySound()
        graph.nodes[13].output = "y"  // Core ML's names begin with a letter
        graph.outputs[0].name = "y"
        return try MLProgramWriter.package(graph, family: .audioEncoder)
    }

    @Test("The tiny networks survive both formats")
    func tinyIsValid() throws {
        #expect(try ONNXReader.graph(ONNXWriter.data(Self.tiny()), name: "tiny").nodes.count == 7)
        #expect(try MLProgramReader(Self.tinyPackage(), name: "tiny").graph().nodes.count == 6)
        let operations = try Self.tinySound().nodes.map(\.operation)
        #expect(
            try ONNXReader.graph(ONNXWriter.data(Self.tinySound()), name: "tiny").nodes.map(\.operation) == operations)
        let package = try MLProgramReader(Self.tinySoundPackage(), name: "tiny")
        #expect(try package.graph().nodes.map(\.operation) == operations)
        #expect(package.remarks.isEmpty, "\(package.remarks)")
    }

    @Test("A file of nothing but tiny messages is refused before it is decoded")
    func tinyMessages() throws {
        // A graph (field 7) of empty nodes (field 1): 262,145 of them in half a megabyte.
        func graph(_ nodes: Int) -> Data {
            let length = nodes * 2
            let varint = [UInt8(length & 0x7F | 0x80), UInt8(length >> 7 & 0x7F | 0x80), UInt8(length >> 14)]
            return Data([0x3A] + varint + (0..<nodes).flatMap { _ in [0x0A, 0x00] as [UInt8] })
        }
        let error = #expect(throws: VisemeError.self) { try ONNXReader.graph(graph(262_145), name: "tiny.onnx") }
        #expect(error?.code == .badData && error?.message.contains("tiny fields") == true)
        #expect(throws: Never.self) { try ProtobufBudget.check(graph(262_144), name: "tiny.onnx") }
    }

    @Test("Every truncation of an ONNX file throws")
    func onnxTruncations() throws {
        let data = try ONNXWriter.data(Self.tiny())
        for count in 0..<data.count {
            // A cut between two fields may leave a smaller model that is whole; it must not be the one that was cut.
            if let graph = try? ONNXReader.graph(data.prefix(count), name: "cut") { #expect(graph.nodes.count < 7) }
        }
        let large = try Data(contentsOf: Narrow.url("narrow-torch.onnx"))
        for count in stride(from: 0, to: large.count, by: 997) {
            #expect(throws: VisemeError.self) { try ONNXReader.graph(large.prefix(count), name: "cut") }
        }
    }

    @Test("Every truncation of a Core ML package throws")
    func packageTruncations() throws {
        let package = try Self.tinyPackage()
        for count in 0..<package.specification.count {
            let cut = ModelPackage(specification: package.specification.prefix(count), weights: package.weights)
            if let graph = try? MLProgramReader(cut, name: "cut").graph() { #expect(graph.nodes.count < 6) }
        }
        for count in 0..<package.weights.count {
            let cut = ModelPackage(specification: package.specification, weights: package.weights.prefix(count))
            #expect(throws: VisemeError.self, "\(count) bytes") { try MLProgramReader(cut, name: "cut").graph() }
        }
    }

    @Test("10,000 mutations never trap", arguments: ["onnx", "specification", "weights", "pack"])
    func mutations(_ what: String) throws {
        var random = SeededRandom(7)
        let onnx = try [ONNXWriter.data(Self.tiny()), ONNXWriter.data(Self.tinySound())]
        let packages = try [Self.tinyPackage(), Self.tinySoundPackage()]
        let manifest = try Data(contentsOf: Repository.inheritedRobin.appending(path: "avatar.json"))
        for round in 0..<10_000 {
            let package = packages[round % 2]
            // Errors are welcome, and so is a graph: a weight's byte may be any.
            switch what {
            case "onnx": _ = try? ONNXReader.graph(random.mutated(onnx[round % 2]), name: "mutated")
            case "specification":
                let broken = ModelPackage(
                    specification: random.mutated(package.specification), weights: package.weights)
                _ = try? MLProgramReader(broken, name: "mutated").graph()
            case "weights":
                let broken = ModelPackage(
                    specification: package.specification, weights: random.mutated(package.weights))
                _ = try? MLProgramReader(broken, name: "mutated").graph()
            default:
                _ = try? JSONDecoder().decode(AvatarManifest.self, from: random.mutated(manifest)).validate()
            }
        }
    }

    @Test("A damaged Manifest.json is an error", arguments: ["", "{", "{}", #"{"fileFormatVersion":"1.0.0"}"#])
    func manifest(_ text: String) async throws {
        try await withTemporaryFolder { folder in
            let url = folder.appending(path: "x.mlpackage")
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url.appending(path: "Manifest.json"))
            let error = #expect(throws: VisemeError.self) { try OpenedModel(at: url) }
            #expect(error?.code == .badData)
        }
    }

    @Test("A package's manifest cannot lead out of it")
    func escape() async throws {
        try await withTemporaryFolder { folder in
            let url = folder.appending(path: "x.mlpackage")
            try Self.tinyPackage().write(
                to: try {
                    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
                    return url
                }())
            let manifest = url.appending(path: "Manifest.json")
            let text = try String(contentsOf: manifest, encoding: .utf8)
            try Data(text.replacing("com.apple.CoreML/model.mlmodel", with: "../../../etc/passwd").utf8).write(
                to: manifest)
            let error = #expect(throws: VisemeError.self) { try OpenedModel(at: url) }
            #expect(error?.message.contains("outside of itself") == true)
        }
    }
}

extension SeededRandom {
    /// The data with up to eight bytes changed, or a piece cut out.
    mutating func mutated(_ data: Data) -> Data {
        var bytes = [UInt8](data)
        for _ in 0..<Int.random(in: 1...8, using: &self) {
            bytes[Int.random(in: 0..<bytes.count, using: &self)] = UInt8.random(in: .min ... .max, using: &self)
        }
        if Int.random(in: 0..<8, using: &self) == 0 {
            let start = Int.random(in: 0..<bytes.count, using: &self)
            bytes.removeSubrange(start..<min(bytes.count, start + Int.random(in: 1...64, using: &self)))
        }
        return Data(bytes)
    }
}
