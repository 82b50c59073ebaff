import Foundation
import SwiftProtobuf
import Testing
import Viseme
import VisemeFFmpeg
import VisemeONNX
import VisemeTestSupport
@testable import VisemeModels

@Suite("int8")
struct QuantiseTests {
    private let image = Narrow.input(6 * 320 * 320)
    private let audio = Narrow.input(32 * 16 * 16)

    /// The narrow network, fitted to one input.
    private func fitted() async throws -> (graph: ModelGraph, exact: [Float]) {
        let graph = try Narrow.open("narrow.pth").network().graph.folded()
        let probe = ProbeInputs(
            name: "noise", values: graph.inputs.map { $0.shape[1] == .fixed(6) ? image : audio })
        let names = graph.nodes.map(\.output)
        let values = try await graph.loaded(by: Narrow.runner(), exposing: names).values(of: names, on: probe)
        var ranges = zip(graph.inputs.map(\.name), probe.values).reduce(into: [:]) { $0[$1.0] = Self.range($1.1) }
        for (name, tensor) in zip(names, values) { ranges[name] = Self.range(tensor) }
        let output = try #require(names.firstIndex(of: graph.outputs[0].name))
        return (graph.quantised(ranges: ranges), values[output])
    }

    private static func range(_ values: [Float]) -> ClosedRange<Float> { (values.min() ?? 0)...(values.max() ?? 0) }

    @Test(
        "A grid holds 0 exactly and its ends within half a step",
        arguments: [
            (Float(-1), Float(1)), (0, 6), (0.5, 3), (-4, -1), (0, 0), (-1e-30, 1e-30), (-3e4, 3e4),
        ])
    func grids(_ lower: Float, _ upper: Float) {
        let grid = Grid(from: lower, to: upper)
        func nearest(_ value: Float) -> Float {
            grid.step * (max(0, min(255, (value / grid.step).rounded() + Float(grid.zero))) - Float(grid.zero))
        }
        #expect(nearest(0) == 0 && grid.step > 0)
        for value in [lower, upper, (lower + upper) / 2] where abs(value) > 1e-20 {
            #expect(abs(nearest(value) - value) <= grid.step * 0.5001 + abs(value) * 1e-6)
        }
    }

    @Test("A file in int8 is read as it was written: grids, weights, steps", .enabled(if: Repository.canRunModels))
    func roundTrip() async throws {
        let graph = try await fitted().graph
        let data = try ONNXWriter.data(graph)
        let read = try ONNXReader.graph(data, name: "int8.onnx")
        #expect(read.unusedTensors.isEmpty)
        #expect(read.nodes.map(\.operation) == graph.nodes.map(\.operation))
        #expect(read.weightSteps == graph.weightSteps && !read.weightSteps.isEmpty)
        for name in graph.weightSteps.keys { #expect(read.weights[name]?.floats() == graph.weights[name]?.floats()) }
        let again = try ONNXReader.graph(ONNXWriter.data(read), name: "again.onnx")
        #expect(again.weights.mapValues { $0.floats() } == read.weights.mapValues { $0.floats() }, "the biases, too")
    }

    @Test("int8 in parts is int8 as a whole, to the bit, whatever is kept", .enabled(if: Repository.canRunModels))
    func parts() async throws {
        let (graph, exact) = try await fitted()
        let data = try ONNXWriter.data(graph)
        let description = ModelDescription(
            role: .generator, file: "int8.onnx", sha256: ModelFile.sha256(of: data), inputs: graph.inputs,
            outputs: graph.outputs)
        let model = ModelFile(description, contents: data, madeFrom: URL(filePath: "int8.onnx"))
        let backend = try Narrow.runner()
        let whole = try await backend.generator(model, threads: 1).generate(image: image, audio: audio)
        let error = zip(exact, whole).reduce(0.0) { $0 + pow(Double($1.0 - $1.1), 2) } / Double(exact.count)
        #expect(error > 0 && 10 * log10(1 / error) > 30, "\(10 * log10(1 / error)) dB against Float32")
        for bytes in [500_000, 2_000_000, 1_000_000_000] {
            let generator = try await SplittingBackend(backend).generators(
                model, count: 1, threads: 1, template: TemplateBudget(frames: 10, bytes: bytes))[0]
            #expect(generator.keeping.reason == nil)
            let features = try await generator.prepare({ image }, kept: nil)
            #expect(features.kept.allSatisfy { $0.slot.element == .uint8 }, "kept in a quarter of the bytes")
            #expect(try await generator.generate(features, audio: audio) == whole)
            let again = try await generator.prepare({ image }, kept: features.kept)
            #expect(try await generator.generate(again, audio: audio) == whole)
        }
    }

    @Test("Channels filled up with zeros change nothing", .enabled(if: Repository.canRunModels))
    func padding() async throws {
        let graph = try Narrow.open("narrow.pth").network().graph.folded()
        let probe = ProbeInputs(
            name: "noise", values: graph.inputs.map { $0.shape[1] == .fixed(6) ? image : audio })
        let padded = graph.withChannels(multipleOf: 16)
        let depthwise = padded.nodes.compactMap { node in
            if case .convolution(let convolution) = node.operation, convolution.groups > 1 {
                convolution.groups
            } else {
                nil
            }
        }
        #expect(depthwise.contains(16) && depthwise.allSatisfy { $0 % 16 == 0 }, "\(depthwise)")
        #expect(try padded.multiplications() > graph.multiplications())
        // Operations exactly as written, so that the order of the sums is the same.
        let runner = try Narrow.runner()
        let (plain, filled) = (
            try await graph.outputs(of: [probe], runner: runner, optimised: false)[0][0],
            try await padded.outputs(of: [probe], runner: runner, optimised: false)[0][0]
        )
        #expect(TensorDifference("padded", plain, filled).maximum <= 1e-6)
        let small = try await fitted().graph
        let rounded = small.withChannels(multipleOf: 16)
        #expect(rounded.weightSteps.allSatisfy { $1.count == rounded.weights[$0]?.shape[0] })
        #expect(
            try await small.outputs(of: [probe], runner: runner) == rounded.outputs(of: [probe], runner: runner),
            "integers have no order of sums")
    }

    @Test(
        "robin in int8 is good enough, says so in its pack, and passes the doctor",
        .enabled(if: Repository.canRunModels))
    func pack() async throws {
        try await withTemporaryFolder { folder in
            let robin = try Avatar(contentsOf: Repository.inheritedRobin)
            let backend = try Narrow.runner()
            var quantiser = PackQuantiser(tool: "test", backend: backend, media: FFmpeg())
            quantiser.samples = 8
            let target = folder.appending(path: "robin8.avatar")
            let cost = try await quantiser.run(robin, to: target)
            #expect(cost.psnr >= 38 && cost.articulation >= 0.995 && cost.frames == 4)
            let written = try Avatar(contentsOf: target)
            #expect(try written.model(.generator).description.precision == cost)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["robin8.avatar"])
            let model = try OpenedModel(at: target.appending(path: "generator.onnx"))
            #expect(
                try model.network().family
                    == OpenedModel(
                        at: robin.url.appending(path: "generator.onnx")
                    ).network().family)
            #expect(model.metadata["viseme.precision"] == "int8")
            #expect(model.byteCount < 1_600_000, "half of Float32's 3.2 MB at most: \(model.byteCount)")
            #expect(model.verdict.kind == .trained)
            let again = await #expect(throws: VisemeError.self) { _ = try await quantiser.run(robin, to: target) }
            #expect(again?.code == .cannotCreate)
            let twice = await #expect(throws: VisemeError.self) {
                _ = try await quantiser.run(written, to: folder.appending(path: "twice.avatar"))
            }
            #expect(twice?.message.contains("int8 already") == true)
        }
    }

    /// avatar.json as it is on disk.
    private func manifest(_ pack: URL) throws -> [String: Any] {
        let data = try Data(contentsOf: pack.appending(path: "avatar.json"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test(
        "A pack behind links keeps every byte, and its copy the keys that Viseme does not know",
        .enabled(if: Repository.canRunModels))
    func linkedPack() async throws {
        try await withTemporaryFolder { folder in
            let files = FileManager.default
            let (original, link) = (folder.appending(path: "original.avatar"), folder.appending(path: "link.avatar"))
            try PackCopy.make(of: Repository.inheritedRobin, at: original)
            // The model itself lies behind a link with an absolute path, as a cache would make it.
            let model = original.appending(path: "generator.onnx")
            try files.moveItem(at: model, to: original.appending(path: "real.onnx"))
            try files.createSymbolicLink(at: model, withDestinationURL: original.appending(path: "real.onnx"))
            var json = try manifest(original)
            json["futureKey"] = ["a": [1, 2.5, true, NSNull(), "text"] as [Any]]
            var models = try #require(json["models"] as? [[String: Any]])
            for index in models.indices { models[index]["futureModelKey"] = index }
            json["models"] = models
            try JSONSerialization.data(withJSONObject: json).write(to: original.appending(path: "avatar.json"))
            try files.createSymbolicLink(at: link, withDestinationURL: original)
            let before = try files.subpathsOfDirectory(atPath: original.path).sorted().map { path in
                (path, try? Data(contentsOf: original.appending(path: path)))
            }

            var quantiser = PackQuantiser(tool: "test", backend: try Narrow.runner(), media: FFmpeg())
            quantiser.samples = 8
            let target = folder.appending(path: "int8.avatar")
            _ = try await quantiser.run(Avatar(contentsOf: link), to: target)

            for (path, data) in before {
                #expect((try? Data(contentsOf: original.appending(path: path))) == data, "\(path) was changed")
            }
            var written = try manifest(target)
            #expect((written["futureKey"] as? NSDictionary) == (json["futureKey"] as? NSDictionary))
            #expect((written["provenance"] as? NSDictionary) == (json["provenance"] as? NSDictionary))
            let rewritten = try #require(written.removeValue(forKey: "models") as? [[String: Any]])
            #expect(rewritten.map { $0["futureModelKey"] as? Int } == [0, 1])
            #expect(rewritten.contains { $0["precision"] != nil })
            #expect(Set(written.keys).union(["models"]) == Set(json.keys))
            try Avatar(contentsOf: target).verify()
            let linkType = try files.attributesOfItem(atPath: target.appending(path: "generator.onnx").path)[.type]
            #expect(linkType as? FileAttributeType == .typeRegular)
        }
    }

    @Test("A folder that a link puts into itself is refused")
    func endlessPack() async throws {
        try await withTemporaryFolder { folder in
            let pack = folder.appending(path: "pack")
            try FileManager.default.createDirectory(at: pack, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(at: pack.appending(path: "again"), withDestinationURL: pack)
            let error = #expect(throws: VisemeError.self) {
                try PackCopy.make(of: pack, at: folder.appending(path: "copy"))
            }
            #expect(error?.message.contains("leads back") == true)
        }
    }

    @Test("A grid that no program of ours would write is refused by name")
    func hostile() throws {
        func model(_ change: (inout Onnx_ModelProto) -> Void) throws -> Data {
            let x = TensorDescription(name: "x", shape: [.batch, .fixed(4), .fixed(2), .fixed(2)])
            var graph = ModelGraph(
                inputs: [x], outputs: [TensorDescription(name: "y", shape: x.shape)],
                nodes: [
                    .init(.quantise(Grid(step: 0.5, zero: 3)), name: "g", inputs: ["x"], output: "g"),
                    .init(.convolution(Convolution()), name: "c", inputs: ["g", "w", "b"], output: "y"),
                ],
                weights: [
                    "w": StoredTensor(name: "w", shape: [4, 4, 1, 1], floats: (0..<16).map { Float($0) / 127 }),
                    "b": StoredTensor(name: "b", shape: [4], floats: [1, 2, 3, 4]),
                ])
            graph.weightSteps = ["w": [Float](repeating: 1 / 127, count: 4)]
            var model = try Onnx_ModelProto(serializedBytes: ONNXWriter.data(graph))
            change(&model)
            return try model.serializedData()
        }
        #expect(
            try ONNXReader.graph(model { _ in }, name: "whole").weights["b"]?.floats().last.map { abs($0 - 4) < 1e-3 }
                == true)
        func edit(_ name: String, _ change: @escaping (inout Onnx_TensorProto) -> Void) -> (inout Onnx_ModelProto) ->
            Void
        {
            { model in
                for i in model.graph.initializer.indices where model.graph.initializer[i].name == name {
                    change(&model.graph.initializer[i])
                }
            }
        }
        let changes: [(String, (inout Onnx_ModelProto) -> Void)] = [
            ("negative step", edit("g.step") { $0.floatData = [-1] }),
            ("no number", edit("g.step") { $0.floatData = [.nan] }),
            ("no step", edit("g.step") { ($0.floatData, $0.dims) = ([], [0]) }),
            ("two steps", edit("g.step") { ($0.floatData, $0.dims) = ([1, 2], [2]) }),
            ("signed zero", edit("g.zero") { $0.dataType = 3 }),
            ("steps of other channels", edit("w.step") { ($0.floatData, $0.dims) = ([1, 2, 3], [3]) }),
            ("zeros that are not 0", edit("w.zero") { $0.rawData = Data([0, 1, 0, 0]) }),
            ("floats for points", edit("w.points") { ($0.dataType, $0.rawData) = (1, Data(count: 64)) }),
            ("too few points", edit("w.points") { $0.rawData = Data(count: 3) }),
            ("a scalar for weights", edit("w.points") { ($0.dims, $0.rawData) = ([], Data([1])) }),
            ("points that nobody made", { $0.graph.node[1].input[0] = "nothing" }),
            ("a computed step", { $0.graph.node[0].input[1] = "x" }),
            ("no inputs", { $0.graph.node[0].input = [] }),
        ]
        for (name, change) in changes {
            #expect(throws: VisemeError.self, "\(name)") { try ONNXReader.graph(model(change), name: "broken") }
        }
    }
}
