import Foundation
import SwiftProtobuf
import Testing
import VisemeONNX
import VisemeTestSupport

@testable import Viseme
@testable import VisemeModels

/// The engine's judge, on every form in which a model can reach a backend.
@Suite("The judge of models")
struct WeightJudgeTests {

    private func verdict(_ data: Data, _ role: ModelRole = .generator) async throws -> TrainingVerdict {
        let description = ModelDescription(
            role: role, file: "model.onnx", sha256: ModelFile.sha256(of: data), inputs: [], outputs: [])
        return try await WeightJudge().verdict(
            on: ModelFile(description, contents: data, madeFrom: URL(filePath: "model.onnx")))
    }

    private func fresh() throws -> ModelGraph { try Narrow.open("narrow-fresh.pth").network().graph.folded() }

    @Test("Fresh networks: Float32, Float16, and both where an unknown operation keeps the graph from being read")
    func formats() async throws {
        let graph = try fresh()
        for data in [try ONNXWriter.data(graph), try ONNXWriter.data(graph.withWeights(as: .float16))] {
            #expect(try await verdict(data).kind == .neverTrained)
            var strange = try Onnx_ModelProto(serializedBytes: data)
            var node = Onnx_NodeProto()
            (node.opType, node.name, node.input, node.output) = ("Erf", "strange", [graph.inputs[0].name], ["unused"])
            strange.graph.node.append(node)
            let hidden: Data = try strange.serializedData()
            #expect(throws: VisemeError.self) { try ONNXReader.graph(hidden, name: "strange") }
            #expect(try await verdict(hidden).refusal(of: "x") != nil)
        }
    }

    @Test("A fresh Core ML package is found out")
    func packages() async throws {
        try await withTemporaryFolder { folder in
            for (name, graph) in [("fp32", try fresh()), ("fp16", try fresh().withWeights(as: .float16))] {
                let url = folder.appending(path: "\(name).mlpackage")
                let family = try Narrow.open("narrow-fresh.pth").network().family
                try MLProgramWriter.package(graph, family: family).write(to: url)
                let description = ModelDescription(
                    role: .generator, file: url.lastPathComponent, sha256: try ModelFile.sha256(at: url), inputs: [],
                    outputs: [])
                let verdict = try await WeightJudge().verdict(on: ModelFile(description, at: url))
                #expect(verdict.kind == .neverTrained, "\(name): \(verdict.evidence)")
            }
        }
    }

    @Test("One layer at its first values is found in a file of unknown operations, too")
    func partly() async throws {
        var strange = try Onnx_ModelProto(
            serializedBytes: ONNXWriter.data(Narrow.open("narrow-partly.pth").network().graph))
        #expect(try await verdict(strange.serializedData()).kind == .partly)
        var node = Onnx_NodeProto()
        (node.opType, node.name, node.input, node.output) = ("Erf", "strange", ["image"], ["unused"])
        strange.graph.node.append(node)
        #expect(try await verdict(strange.serializedData()).kind == .partly)
    }

    @Test(
        "A trained pack's models are trained, and told so in little time",
        arguments: [Repository.robin, Repository.inheritedRobin])
    func trained(pack: URL) async throws {
        let avatar = try Avatar(contentsOf: pack)
        let models = try avatar.manifest.models.map { try avatar.model($0.role).inMemory() }
        var times: [Duration] = []
        for _ in 0..<5 {
            let start = ContinuousClock.now
            for model in models {
                let verdict = try await WeightJudge().verdict(on: model)
                #expect(verdict.kind == .trained)
            }
            times.append(ContinuousClock.now - start)
        }
        let median = times.sorted()[2]
        print("verdicts on the models of \(pack.lastPathComponent): \(median)")
        // 30 ms on a quiet machine; this only finds another order of magnitude.
        #expect(median < .milliseconds(300))
    }

    @Test("A generator of full width is judged in little time, too")
    func full() async throws {
        let architecture = GeneratorArchitecture(channels: [32, 64, 128, 256, 512], audio: .ave, imageSize: 320)
        var network = NetworkBuilder(outline: ())
        var graph = try architecture.graph(&network).folded()
        for (name, weight) in graph.weights {
            // Like no initialisation: the cubes of even numbers.
            let values = randomFloats(weight.count, in: -1...1, seed: name.count).map { $0 * $0 * $0 * 0.1 }
            graph.weights[name] = StoredTensor(name: name, shape: weight.shape, floats: values)
        }
        let data = try ONNXWriter.data(graph)
        let start = ContinuousClock.now
        #expect(try await verdict(data).kind == .trained)
        let time = ContinuousClock.now - start
        print("verdict on \(data.count) bytes: \(time)")
        // 150 ms on a quiet machine; this only finds another order of magnitude.
        #expect(time < .milliseconds(1500))
    }

    @Test("A compiled package cannot be judged and is not let through")
    func compiled() async throws {
        let description = ModelDescription(
            role: .generator, file: "g.mlmodelc", sha256: "", inputs: [], outputs: [])
        let error = await #expect(throws: VisemeError.self) {
            _ = try await WeightJudge().verdict(on: ModelFile(description, at: URL(filePath: "g.mlmodelc")))
        }
        #expect(error?.code == .unsupported)
    }
}
