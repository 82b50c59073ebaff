import Foundation
import Testing
import Viseme
import VisemeTestSupport
@testable import VisemeModels

@Suite("Networks in every format")
struct GraphTests {
    @Test(
        "The family, width and inputs are recognised",
        arguments: ["narrow.pth", "narrow.onnx", "narrow-torch.onnx", "narrow-fp32.mlpackage", "narrow-fp16.mlpackage"])
    func family(_ file: String) throws {
        let (graph, family) = try Narrow.open(file).network()
        #expect(family == .generator(GeneratorArchitecture(channels: [2, 4, 8, 16, 32], audio: .ave, imageSize: 320)))
        #expect(graph.folded().nodes.count { if case .convolution = $0.operation { true } else { false } } == 93)
        #expect(
            graph.nodes.contains { $0.name == "up1.conv.double_conv.0.conv.3" }, "layers have the checkpoint's names")
    }

    @Test("Folding is bit-equal to coremltools")
    func folding() throws {
        let own = try Narrow.open("narrow.pth").network().graph.folded()
        let package = try Narrow.open("narrow-fp32.mlpackage").network().graph
        var compared = 0
        for (node, partner) in try own.aligned(with: package) {
            let partner = try #require(partner, "\(node.name)")
            for (mine, theirs) in zip(node.inputs, partner.inputs) {
                guard let weight = own.weights[mine] else { continue }
                #expect(weight.bytes == package.weights[theirs]?.bytes, "\(mine)")
                compared += 1
            }
        }
        #expect(compared == 186)
    }

    @Test("Half precision is rounded as coremltools rounds")
    func halves() throws {
        let own = try Narrow.open("narrow.pth").network().graph.folded().withWeights(as: .float16)
        let package = try Narrow.open("narrow-fp16.mlpackage").network().graph
        for (node, partner) in try own.aligned(with: package) {
            for (mine, theirs) in zip(node.inputs, try #require(partner).inputs) where own.weights[mine] != nil {
                #expect(own.weights[mine]?.bytes == package.weights[theirs]?.bytes, "\(mine)")
            }
        }
    }

    @Test(
        "Every format computes what PyTorch computed", .enabled(if: Repository.canRunModels),
        arguments: [
            ("narrow.pth", false), ("narrow.onnx", false), ("narrow-torch.onnx", false),
            ("narrow-fp32.mlpackage", false),
            ("narrow-fp16.mlpackage", true),
        ])
    func outputs(_ file: String, isHalf: Bool) async throws {
        let graph = try Narrow.open(file).network().graph
        let description = try Narrow.description()
        let probe = ProbeInputs(name: "formula", values: [Narrow.input(6 * 320 * 320), Narrow.input(32 * 16 * 16)])
        let output = try await graph.outputs(of: [probe], runner: Narrow.runner())[0][0]
        let golden = isHalf ? description.fp16 : description.fp32
        for (index, value) in zip(golden.index, golden.value) {
            #expect(abs(output[index] - value) <= 1e-3, "\(index)")
        }
    }

    @Test("Both architectures have the contract's number of parameters")
    func sizes() throws {
        func count(_ channels: [Int]) throws -> Int {
            var network = NetworkBuilder(outline: ())
            let graph = try GeneratorArchitecture(channels: channels, audio: .ave, imageSize: 320).graph(&network)
            return graph.weights.filter { !$0.key.hasSuffix("running_mean") && !$0.key.hasSuffix("running_var") }.values
                .reduce(0) { $0 + $1.count }
        }
        #expect(try count([32, 64, 128, 256, 512]) == 12_186_935)
        #expect(try count([16, 32, 64, 128, 256]) == 3_095_471)
        var network = NetworkBuilder(outline: ())
        let encoder = try AudioEncoderArchitecture.graph(&network)
        #expect(encoder.weights.filter { !$0.key.contains("running") }.values.reduce(0) { $0 + $1.count } == 2_812_672)
        _ = try encoder.shapes()
    }

    @Test(
        "The other variants fit together",
        arguments: [(GeneratorArchitecture.Audio.hubert, 320), (.wenet, 320), (.ave, 160)])
    func variants(_ audio: GeneratorArchitecture.Audio, size: Int) throws {
        var network = NetworkBuilder(outline: ())
        let graph = try GeneratorArchitecture(channels: [16, 32, 64, 256, 512], audio: audio, imageSize: size).graph(
            &network)
        #expect(try graph.shapes()["output"] == [1, 3, size, size])
    }

    @Test("Work beyond all numbers is an error of the file, wherever it is counted")
    func endlessWork() throws {
        let x = TensorDescription(name: "x", shape: [.batch, .fixed(1024), .fixed(65536), .fixed(32768)])
        let layers = (0..<4097).map { i in
            ModelGraph.Node(
                .convolution(Convolution(padding: [15, 15, 16, 16])), name: "c\(i)", inputs: ["x", "w"], output: "y\(i)"
            )
        }
        let graph = ModelGraph(
            inputs: [x], outputs: [], nodes: layers,
            weights: [
                "w": try StoredTensor(name: "w", shape: [1, 1024, 32, 32], type: .int8, bytes: Data(count: 1 << 20))
            ])
        let shapes = try graph.shapes()
        #expect(shapes["y0"] == [1, 1, 65536, 32768])
        let counted = #expect(throws: VisemeError.self) { try graph.multiplications() }
        #expect(counted?.code == .badData)
        let cost = #expect(throws: VisemeError.self) {
            try graph.cost(of: Set(layers.map(\.output)), without: [], shapes: shapes)
        }
        #expect(cost?.message.contains("more operations than can be counted") == true)
    }

    @Test("Weights that several layers share are not filled up once for each of them")
    func sharedWeights() throws {
        let x = TensorDescription(name: "x", shape: [.batch, .fixed(8), .fixed(4), .fixed(4)])
        let nodes: [ModelGraph.Node] = (0..<3).flatMap { i in
            [
                ModelGraph.Node(.convolution(Convolution()), name: "a\(i)", inputs: ["x", "w"], output: "a\(i)"),
                ModelGraph.Node(
                    .convolution(Convolution()), name: "b\(i)", inputs: ["a\(i)", "v\(i)"], output: "b\(i)"),
            ]
        }
        var weights = ["w": StoredTensor(name: "w", shape: [4, 8, 1, 1], floats: [Float](repeating: 1, count: 32))]
        for i in 0..<3 {
            weights["v\(i)"] = StoredTensor(
                name: "v\(i)", shape: [8, 4, 1, 1], floats: [Float](repeating: 1, count: 32))
        }
        let graph = ModelGraph(inputs: [x], outputs: [], nodes: nodes, weights: weights)
        let padded = graph.withChannels(multipleOf: 16)
        _ = try padded.shapes()
        #expect(padded.weights["w"]?.shape == [4, 8, 1, 1])
    }
}
