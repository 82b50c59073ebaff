import Foundation
import Synchronization
import Testing
import Viseme
import VisemeONNX
import VisemeTestSupport
@testable import VisemeModels

@Suite("Generators cut where the audio enters")
struct GeneratorSplitTests {
    /// A generator, and the description that a manifest would have of it.
    private struct Subject {
        var graph: ModelGraph
        var model: ModelFile

        init(_ graph: ModelGraph) throws {
            self.graph = graph
            let data = try ONNXWriter.data(graph)
            let description = ModelDescription(
                role: .generator, file: "test.onnx", sha256: ModelFile.sha256(of: data), inputs: graph.inputs,
                outputs: graph.outputs)
            model = ModelFile(description, contents: data, madeFrom: URL(filePath: "test.onnx"))
        }

        func input(_ channels: Int) -> String {
            graph.inputs.first { $0.shape.count == 4 && $0.shape[1] == .fixed(channels) }?.name ?? ""
        }

        func split(frames: Int, bytes: Int) throws -> GeneratorSplit? {
            try GeneratorSplit(
                graph, image: input(6), audio: input(32), budget: TemplateBudget(frames: frames, bytes: bytes))
        }
    }

    enum Network: String, CaseIterable {
        case narrow, robin, full
    }

    private func subject(_ network: Network) throws -> Subject {
        switch network {
        case .narrow: try Subject(Narrow.open("narrow.pth").network().graph.folded())
        case .robin:
            try Subject(
                OpenedModel(at: Repository.inheritedRobin.appending(path: "generator.onnx")).network().graph)
        case .full: try Subject(Self.seeded([32, 64, 128, 256, 512]))
        }
    }

    /// A network of the full width with weights of a fixed seed, drawn so that its picture varies.
    private static func seeded(_ channels: [Int]) throws -> ModelGraph {
        var network = NetworkBuilder(outline: ())
        var graph = try GeneratorArchitecture(channels: channels, audio: .ave, imageSize: 320).graph(&network)
        for (seed, name) in graph.weights.keys.sorted().enumerated() {
            guard let old = graph.weights[name] else { continue }
            let fanIn = max(1, old.shape.dropFirst().reduce(1, *))
            let range: ClosedRange<Float> =
                if old.shape.count == 4 {
                    -(3 / Float(fanIn)).squareRoot()...(3 / Float(fanIn)).squareRoot()
                } else if name.hasSuffix("running_var") || name.hasSuffix(".weight") {
                    0.8...1.2
                } else {
                    -0.1...0.1
                }
            graph.weights[name] = StoredTensor(
                name: name, shape: old.shape, floats: randomFloats(old.count, in: range, seed: seed))
        }
        return graph.folded()
    }

    private let image = Narrow.input(6 * 320 * 320)
    private let audio = Narrow.input(32 * 16 * 16)

    @Test("What is kept grows with the budget from the deepest tensor up, and no operation is lost or done twice")
    func budgets() throws {
        let subject = try subject(.narrow)
        #expect(try subject.split(frames: 100, bytes: 100) == nil, "nothing fits")
        var before = 0
        for bytes in [100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000] {
            let split = try #require(try subject.split(frames: 100, bytes: bytes))
            #expect(split.kept.count >= before)
            before = split.kept.count
            #expect(split.keptFrames * split.keptBytes <= bytes && split.keptFrames <= 100)
            #expect(split.fresh.count + split.kept.count == 6)
            #expect((split.shallow == nil) == split.fresh.isEmpty)
            let parts = [split.shallow, split.deep, split.rest].compactMap { $0 }
            #expect(parts.flatMap(\.nodes).map(\.output).sorted() == subject.graph.nodes.map(\.output).sorted())
            #expect(parts.flatMap(\.weights.keys).sorted() == subject.graph.weights.keys.sorted())
            #expect(split.rest.inputs.count == 7)
            for part in parts { _ = try part.shapes() }
        }
        #expect(before == 6)
    }

    @Test(
        "The parts compute what the whole computes", .enabled(if: Repository.canRunModels), arguments: Network.allCases)
    func equality(_ network: Network) async throws {
        let subject = try subject(network)
        let backend = try Narrow.runner()
        let whole = try await backend.generator(subject.model, threads: 1)
        let expected = try await whole.generate(image: image, audio: audio)
        let mean = expected.reduce(0, +) / Float(expected.count)
        #expect(
            expected.reduce(0) { $0 + abs($1 - mean) } / Float(expected.count) > 0.005, "a grey picture says nothing")

        // In Float32 throughout: the cut itself changes nothing.
        for bytes in [1_000_000, 1_000_000_000] {
            let split = try #require(try subject.split(frames: 10, bytes: bytes))
            var made: [String: Tensor] = [:]
            func give(_ tensor: Tensor) { made[tensor.slot.name] = tensor }
            give(Tensor(subject.input(6), [1, 6, 320, 320], image))
            give(Tensor(subject.input(32), [1, 32, 16, 16], audio))
            let shapes = try subject.graph.shapes()
            for (part, targets) in [
                (split.shallow, split.fresh), (split.deep, split.kept), (split.rest, subject.graph.outputs.map(\.name)),
            ] {
                guard var part else { continue }
                part.outputs = targets.map { name in
                    TensorDescription(name: name, shape: (shapes[name] ?? []).map { .fixed($0) })
                }
                let graph = try await backend.graph(ONNXWriter.data(part), name: "part", threads: 1, optimised: true)
                let inputs = part.inputs.compactMap { made[$0.name] }
                for tensor in try await graph.run(inputs, outputs: targets.map { TensorSlot($0, shapes[$0] ?? []) }) {
                    give(tensor)
                }
            }
            let mouth = try #require(made[subject.graph.outputs[0].name]?.floats)
            #expect(TensorDifference("parts", expected, mouth).maximum <= 1e-6, "\(bytes) bytes")
        }

        // As it runs, template tensors in Float16: at least 50 dB, whatever is kept the very same numbers.
        let splitting = SplittingBackend(backend)
        var mouths: [[Float]] = []
        for bytes in [2_000_000, 1_000_000_000] {
            let generator = try await splitting.generators(
                subject.model, count: 1, threads: 1, template: TemplateBudget(frames: 10, bytes: bytes))[0]
            #expect(generator.keeping.reason == nil && generator.imageSize.width == 320)
            mouths.append(try await generator.generate(image: image, audio: audio))
            let features = try await generator.prepare({ image }, kept: nil)
            #expect(features.kept.reduce(0) { $0 + $1.slot.byteCount } == generator.keeping.bytesPerFrame)
            let again = try await generator.prepare({ image }, kept: features.kept)
            mouths.append(try await generator.generate(again, audio: audio))
        }
        for mouth in mouths { #expect(mouth == mouths[0], "what is kept changes the mouth") }
        let error = zip(expected, mouths[0]).reduce(0.0) { $0 + pow(Double($1.0 - $1.1), 2) } / Double(expected.count)
        #expect(10 * log10(1 / max(error, 1e-20)) >= 50)
    }

    /// Loads with another loader after the file is gone.
    private struct VanishingFile: InferenceBackend, GraphLoader {
        let runner: ONNXBackend
        let url: URL
        let parts: Mutexed
        var name: String { runner.name }

        func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
            try await runner.audioEncoder(model, threads: threads)
        }
        func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
            try? FileManager.default.removeItem(at: url)  // gone after the first
            return try await runner.generator(model, threads: threads)
        }
        func graph(_ model: Data, name: String, threads: Int, optimised: Bool) async throws -> any LoadedGraph {
            try? FileManager.default.removeItem(at: url)  // gone after the first
            parts.add(model)
            return try await runner.graph(model, name: name, threads: threads, optimised: optimised)
        }
    }

    private final class Mutexed: Sendable {
        private let state = Mutex<[Data]>([])
        var all: [Data] { state.withLock { $0 } }
        func add(_ data: Data) { state.withLock { $0.append(data) } }
    }

    @Test(
        "The lanes of one generator share one reading of its file, and draw the same mouths",
        .enabled(if: Repository.canRunModels), arguments: [true, false])
    func lanes(isSplit: Bool) async throws {
        try await withTemporaryFolder { folder in
            let subject = try subject(.narrow)
            let url = folder.appending(path: "generator.onnx")
            try subject.model.read().write(to: url)
            let loader = VanishingFile(runner: try Narrow.runner(), url: url, parts: Mutexed())
            let generators = try await SplittingBackend(loader).generators(
                ModelFile(subject.model.description, at: url), count: 3, threads: 1,
                template: TemplateBudget(frames: 10, bytes: isSplit ? 2_000_000 : 0))
            #expect(generators.count == 3 && generators.allSatisfy { ($0.keeping.reason == nil) == isSplit })
            #expect(loader.parts.all.count == (isSplit ? 9 : 0) && Set(loader.parts.all).count == (isSplit ? 3 : 0))
            var mouths: [[Float]] = []
            for generator in generators { mouths.append(try await generator.generate(image: image, audio: audio)) }
            #expect(mouths[1] == mouths[0] && mouths[2] == mouths[0])
        }
    }

    @Test("A tiny generator in int8, a seed of the fuzzer, is read and cut")
    func tinyInt8() throws {
        let url = Repository.root.appending(path: "Tests/VisemeONNXTests/Models/generator-int8.onnx")
        let graph = try ONNXReader.graph(Data(contentsOf: url), name: "int8")
        #expect(graph.weightSteps.count == 3 && graph.grids.count >= 4)
        let model = ModelDescription(
            role: .generator, file: "int8", sha256: "", inputs: graph.inputs, outputs: graph.outputs)
        let roles = try #require(GeneratorRoles(graph, of: model, GeneratorFamily.syncTalk2D.generator))
        let parts = try SplitParts(
            of: graph, roles, model: model, budget: TemplateBudget(frames: 1, bytes: 1_000_000))
        #expect(parts?.kept.first?.element == .uint8)
    }

    @Test("Blocks in slices compute what they compute as a whole", .enabled(if: Repository.canRunModels))
    func slices() async throws {
        let graph = try subject(.robin).graph
        let sliced = try graph.withSlices(ofAtMost: 3_000_000)
        func largest(_ graph: ModelGraph) throws -> Int {
            let shapes = try graph.shapes()
            return graph.nodes.filter { if case .convolution(let c) = $0.operation { c.groups > 1 } else { false } }
                .map { (shapes[$0.output] ?? []).reduce(4, *) }.max() ?? 0
        }
        #expect(try largest(graph) >= 13_000_000 && largest(sliced) <= 7_000_000)
        #expect(sliced.nodes.count { $0.operation == .add } > graph.nodes.count { $0.operation == .add })
        #expect(
            try sliced.parameterCount == graph.parameterCount && sliced.multiplications() == graph.multiplications())
        let probe = ProbeInputs(name: "noise", values: graph.inputs.map { $0.shape[1] == .fixed(6) ? image : audio })
        let runner = try Narrow.runner()
        let (whole, parts) = (
            try await graph.outputs(of: [probe], runner: runner)[0][0],
            try await sliced.outputs(of: [probe], runner: runner)[0][0]
        )
        #expect(TensorDifference("slices", whole, parts).maximum <= 1e-5)
        let untouched = try graph.withSlices(ofAtMost: 1 << 40)
        #expect(untouched.nodes == graph.nodes)
    }

    @Test("A file of other operations runs as a whole and says why", .enabled(if: Repository.canRunModels))
    func foreign() async throws {
        let url = Repository.root.appending(path: "Tests/VisemeCLITests/Golden/tiny.avatar")
        let model = try Avatar(contentsOf: url).model(.generator)
        let backend = SplittingBackend(try Narrow.runner())
        let generator = try await backend.generators(
            model, count: 1, threads: 1, template: TemplateBudget(frames: 6, bytes: 1_000_000_000))[0]
        #expect(generator.keeping.frames == 0)
        #expect(generator.keeping.reason?.contains("Slice") == true, "\(generator.keeping.reason ?? "")")
        let plain = try await backend.generator(model, threads: 1)
        let features = try await generator.prepare({ image }, kept: nil)
        #expect(
            try await generator.generate(features, audio: audio) == plain.generate(image: image, audio: audio))
    }

    @Test("A generator that is not what the manifest says is refused as before", .enabled(if: Repository.canRunModels))
    func mismatch() async throws {
        let subject = try subject(.narrow)
        var description = subject.model.description
        description.inputs[0].shape[2] = .fixed(319)
        let model = ModelFile(
            description, contents: try ONNXWriter.data(subject.graph), madeFrom: URL(filePath: "test.onnx"))
        let error = await #expect(throws: VisemeError.self) {
            try await SplittingBackend(Narrow.runner()).generators(
                model, count: 1, threads: 1, template: TemplateBudget(frames: 1, bytes: 1_000_000_000))[0]
        }
        #expect(error?.code == .badData)
        #expect(error?.message.contains("the pack says") == true)
    }
}
