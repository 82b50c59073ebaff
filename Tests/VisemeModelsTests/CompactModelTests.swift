import Foundation
import SwiftProtobuf
import Testing
import Viseme
import VisemeONNX
import VisemeTestSupport
@testable import VisemeModels

/// The two networks that `Tests/Fixtures/compact_models.py` writes: every operation of the compact family, by torch.onnx and by coremltools.
@Suite("Compact networks in every format")
struct CompactModelTests {
    struct Probe: Decodable {
        var index: [Int]
        var value: [Float]
    }

    struct Description: Decodable {
        var articulator: Probe
        var generator: Probe
    }

    private func description() throws -> Description {
        try JSONDecoder().decode(Description.self, from: Data(contentsOf: Narrow.url("compact.json")))
    }

    /// As `formula` of the script makes them.
    private func formula(_ count: Int, _ step: Double) -> [Float] { (0..<count).map { Float(sin(step * Double($0))) } }

    private func probe(_ graph: ModelGraph) -> ProbeInputs {
        let sound = formula(32 * 96, 0.37)
        let image = formula(6 * 128 * 192, 0.01).map { 0.5 + 0.5 * $0 }
        return ProbeInputs(name: "formula", values: graph.inputs.map { $0.shape.count == 3 ? sound : image })
    }

    private func answer(_ model: OpenedModel) async throws -> [Float] {
        let graph = try model.network().graph
        return try await graph.outputs(of: [probe(graph)], runner: Narrow.runner())[0][0]
    }

    /// The largest difference from what PyTorch answered.
    private func error(_ values: [Float], _ name: String) throws -> Float {
        let golden = try name.contains("generator") ? description().generator : description().articulator
        return zip(golden.index, golden.value).reduce(0) { max($0, abs(values[$1.0] - $1.1)) }
    }

    static let files = ["articulator", "generator"].flatMap { name in
        ["compact-\(name).onnx", "compact-\(name)-fp32.mlpackage", "compact-\(name)-fp16.mlpackage"]
    }

    @Test("Every format is recognised and computes what PyTorch computed", arguments: files)
    func outputs(_ file: String) async throws {
        guard Repository.canRunModels else { return }
        let model = try Narrow.open(file)
        let (graph, family) = try model.network()
        #expect(family.contract == .compact && family.role == (file.contains("generator") ? .generator : .articulator))
        #expect(graph.unusedTensors.isEmpty && model.remarks.isEmpty)
        #expect(model.verdict.kind == .trained)
        // Convolutions and matrix products.
        let layers: Int = file.contains("generator") ? 13 + 4 : 4 + 3
        #expect(ModelReport(model).layers.count == layers)
        let tolerance: Float = file.contains("fp16") ? 5e-3 : 1e-5
        let worst: Float = try error(await answer(model), file)
        #expect(worst <= tolerance)
    }

    @Test("The network is one and the same, whoever exported it", arguments: ["articulator", "generator"])
    func alignment(_ name: String) throws {
        let exported = try Narrow.open("compact-\(name).onnx").network().graph
        for half in ["fp32", "fp16"] {
            let package = try Narrow.open("compact-\(name)-\(half).mlpackage").network().graph
            // coremltools multiplies with the inverse of a stored divisor: from there on they are two networks.
            let alone = try exported.aligned(with: package).filter { $0.1 == nil }.map(\.0)
            let division = try #require(exported.nodes.firstIndex { $0.operation == .divide })
            #expect(alone.first == exported.nodes[division], "\(half): \(alone.first?.name ?? "")")
            #expect(division > 40)
        }
    }

    static let ways: [(String, [String], ModelConverter.Precision)] = [
        ("compact-articulator.onnx", ["mlpackage", "onnx"], .fp32), ("compact-articulator.onnx", ["mlpackage"], .fp16),
        ("compact-articulator.onnx", ["onnx", "mlpackage"], .fp16),
        ("compact-generator.onnx", ["mlpackage", "onnx"], .fp32),
        ("compact-generator.onnx", ["mlpackage", "onnx"], .fp16), ("compact-generator.onnx", ["onnx"], .fp16),
        ("compact-generator-fp16.mlpackage", ["onnx", "mlpackage"], .fp32),
        ("compact-articulator-fp32.mlpackage", ["onnx"], .fp32),
    ]

    @Test(
        "There and back it computes what PyTorch computed", .enabled(if: Repository.canRunModels), arguments: ways)
    func conversion(_ source: String, _ targets: [String], _ precision: ModelConverter.Precision) async throws {
        try await withTemporaryFolder { folder in
            var converter = ModelConverter(tool: "test", runner: try Narrow.runner())
            converter.precision = precision
            var url = Narrow.url(source)
            for (step, target) in targets.enumerated() {
                let next = folder.appending(path: "\(step).\(target)")
                let report = try await converter.convert(url, to: next)
                #expect(report.proof.count == 2 && report.proof.allSatisfy { $0.maximum <= 1e-3 })
                #expect(report.precisionGap.isEmpty == (precision == .fp32))
                let result = try OpenedModel(at: next)
                #expect(result.remarks.isEmpty, "the linter has nothing to say: \(result.remarks)")
                let isHalf = precision == .fp16 || source.contains("fp16")
                let tolerance: Float = isHalf ? 5e-3 : 1e-5
                let worst: Float = try error(await answer(result), source)
                #expect(worst <= tolerance)
                url = next
            }
        }
    }

    @Test("The default avatar's networks are the same in Core ML", .enabled(if: Repository.canRunModels))
    func robin() async throws {
        try await withTemporaryFolder { folder in
            let runner = try Narrow.runner()
            for role in ["audio_encoder", "articulator", "generator"] {
                let source = Repository.robin.appending(path: "\(role).onnx")
                let target = folder.appending(path: "\(role).mlpackage")
                let report = try await ModelConverter(tool: "test", runner: runner).convert(source, to: target)
                #expect(report.verdict.kind == .trained && report.proof.allSatisfy { $0.maximum <= 1e-5 })
                let comparison = try await ModelComparison(
                    OpenedModel(at: source), OpenedModel(at: target), runner: runner,
                    tolerance: .init(absolute: 1e-6, relative: 0), everyLayer: true)
                #expect(comparison.isEqual && comparison.weightsAreIdentical == true)
                #expect(comparison.firstDifferingLayer == nil && comparison.remarks.isEmpty)
                let least: Int = role == "audio_encoder" ? 8 : 40
                #expect(comparison.layers.count > least, "\(comparison.layers.count)")
            }
        }
    }

    @Test("The proof is held against the file, not against how it was read", .enabled(if: Repository.canRunModels))
    func misread() async throws {
        try await withTemporaryFolder { folder in
            let converter = ModelConverter(tool: "test", runner: Misreading(runner: try Narrow.runner()))
            let target = folder.appending(path: "x.mlpackage")
            let error = await #expect(throws: VisemeError.self) {
                try await converter.convert(Narrow.url("compact-articulator.onnx"), to: target)
            }
            #expect(error?.message.contains("does not compute what its source computes") == true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        }
    }

    /// Takes the maxima of what Viseme wrote for minima, as if it had misread the source.
    private struct Misreading: GraphLoader {
        let runner: ONNXBackend

        func graph(_ model: Data, name: String, threads: Int, optimised: Bool) async throws -> any LoadedGraph {
            var file = try Onnx_ModelProto(serializedBytes: model)
            for i in file.graph.node.indices where file.producerName == "viseme" && file.graph.node[i].opType == "Max" {
                file.graph.node[i].opType = "Min"
            }
            return try await runner.graph(
                file.serializedData(), name: name, threads: threads, optimised: optimised)
        }
    }

    // Comparison

    /// The articulator with something changed, as an ONNX file.
    private func changed(_ folder: URL, _ change: (inout ModelGraph) throws -> Void) throws -> OpenedModel {
        var graph = try Narrow.open("compact-articulator.onnx").network().graph
        try change(&graph)
        let url = folder.appending(path: "changed.onnx")
        try ONNXWriter.data(graph).write(to: url)
        return try OpenedModel(at: url)
    }

    private func compare(_ other: OpenedModel) async throws -> ModelComparison {
        try await ModelComparison(
            Narrow.open("compact-articulator.onnx"), other, runner: Narrow.runner(),
            tolerance: .init(absolute: 1e-6, relative: 1e-6))
    }

    @Test(
        "The first layer that differs is named: a convolution, a matrix product, a stored vector",
        .enabled(if: Repository.canRunModels), arguments: ["/convs.1/Conv", "/follow/Gemm", "/Min"])
    func firstDifference(_ name: String) async throws {
        try await withTemporaryFolder { folder in
            let other = try changed(folder) { graph in
                let node = try #require(graph.nodes.first { $0.name == name })
                let weight = try #require(graph.weights[node.inputs[1]])
                graph.weights[weight.name] = StoredTensor(
                    name: weight.name, shape: weight.shape, floats: weight.floats().map { $0 * 0.25 })
            }
            let comparison = try await compare(other)
            #expect(!comparison.isEqual && comparison.firstDifferingLayer == name)
            #expect(comparison.weights.map(\.name) == [name + (name == "/Min" ? ".constant" : ".weight")])
        }
    }

    @Test("A number or an operation that is another makes another architecture", .enabled(if: Repository.canRunModels))
    func structure() async throws {
        try await withTemporaryFolder { folder in
            let number = try await compare(
                changed(folder) { graph in
                    let node = try #require(graph.nodes.first { $0.operation == .divide })
                    graph.weights[node.inputs[1]] = StoredTensor(name: node.inputs[1], shape: [], floats: [0.8])
                })
            #expect(number.weightsAreIdentical == nil && !number.isEqual)
            #expect(number.remarks.first?.contains("(real_div)") == true, "\(number.remarks)")
            let order = try await compare(
                changed(folder) { graph in
                    let i = try #require(graph.nodes.firstIndex { $0.operation == .subtract })
                    graph.nodes[i].inputs.reverse()
                })
            #expect(order.weightsAreIdentical == nil && order.remarks.first?.contains("(sub)") == true)
        }
    }

    @Test("Layers that read the same tensor and have the same shapes are paired in their order")
    func siblings() throws {
        let graph = try OpenedModel(
            at: Repository.root.appending(path: "Tests/VisemeCLITests/Golden/compact.avatar/generator.onnx")
        ).network().graph
        let pairs = try graph.aligned(with: graph)
        #expect(pairs.allSatisfy { $0.0 == $0.1 })
        #expect(pairs.count { $0.0.operation == .linear } == 5)
    }

    @Test("Two constants that the same tensor meets are not taken for each other")
    func twins() throws {
        let x = TensorDescription(name: "x", shape: [.batch, .fixed(3)])
        func graph(_ factors: [Float]) -> ModelGraph {
            ModelGraph(
                inputs: [x], outputs: [TensorDescription(name: "sum", shape: x.shape)],
                nodes: [
                    .init(.multiply, name: "a", inputs: ["x", "p"], output: "a"),
                    .init(.multiply, name: "b", inputs: ["x", "q"], output: "b"),
                    .init(.subtract, name: "sum", inputs: ["a", "b"], output: "sum"),
                ],
                weights: [
                    "p": StoredTensor(name: "p", shape: [], floats: [factors[0]]),
                    "q": StoredTensor(name: "q", shape: [], floats: [factors[1]]),
                ])
        }
        let pairs = try graph([0.75, 3]).aligned(with: graph([0.75, 3]))
        #expect(pairs.allSatisfy { $0.0.name == $0.1?.name })
        #expect(try graph([0.75, 3]).aligned(with: graph([3, 0.75])).last?.1 == nil)
    }

    // Reading

    /// A file with one node between x [1, 4, 6] and y.
    private func read(_ type: String, _ attributes: [Onnx_AttributeProto] = [], inputs: [String: [Int64]] = [:]) throws
        -> ModelGraph
    {
        var model = Onnx_ModelProto()
        model.opsetImport = [.with { $0.version = 17 }]
        model.graph.input = [
            ONNXWriter.valueInfo(TensorDescription(name: "x", shape: [.fixed(1), .fixed(4), .fixed(6)]))
        ]
        model.graph.output = [ONNXWriter.valueInfo(TensorDescription(name: "y", shape: []))]
        model.graph.initializer = inputs.map { name, values in
            .with { ($0.name, $0.dataType, $0.dims, $0.int64Data) = (name, 7, [Int64(values.count)], values) }
        }
        model.graph.node = [
            .with {
                ($0.opType, $0.name, $0.output, $0.attribute) = (type, "n", ["y"], attributes)
                $0.input = ["x"] + inputs.keys.sorted()
            }
        ]
        return try ONNXReader.graph(model)
    }

    private func integer(_ name: String, _ value: Int64) -> Onnx_AttributeProto {
        .with { ($0.name, $0.i) = (name, value) }
    }

    @Test(
        "Parts of an axis are read as they are meant",
        arguments: [
            ([0], [Int64.max], [2], nil), ([2], [Int64.max], [2], 2..<6), ([-3], [-1], [-1], 3..<5),
            ([1], [2], [1], 1..<2),
            ([0], [100], [1], nil),
        ] as [([Int64], [Int64], [Int64], Range<Int>?)])
    func slices(_ start: [Int64], _ end: [Int64], _ axis: [Int64], _ range: Range<Int>?) throws {
        // By name, as the inputs of Slice come in order: starts, ends, axes.
        let inputs = ["1": start, "2": end, "3": axis]
        guard let range else {  // All of it: there is nothing to do, and an output must be made.
            let error = #expect(throws: VisemeError.self) { try read("Slice", inputs: inputs) }
            #expect(error?.message.contains("Nothing makes the output") == true)
            return
        }
        let graph = try read("Slice", inputs: inputs)
        #expect(graph.nodes.map(\.operation) == [.slice(axis: axis[0] == 1 ? 1 : 2, range)])
    }

    @Test("What the family never does is an error that names the operation")
    func refusals() throws {
        let cases: [(String, [Onnx_AttributeProto], [String: [Int64]])] = [
            ("Slice", [], ["1": [0], "2": [4], "3": [1], "4": [2]]), ("Slice", [], ["1": [0], "2": [-9], "3": [1]]),
            ("Slice", [], ["1": [3], "2": [3], "3": [1]]), ("Slice", [], ["1": [0, 0], "2": [1, 1], "3": [1, 2]]),
            ("Slice", [], ["1": [0], "2": [1], "3": [9]]), ("Slice", [], ["1": [0], "2": [1], "3": [Int64.min]]),
            ("Gather", [integer("axis", 2)], ["1": [0, 1]]), ("Gather", [integer("axis", 2)], ["1": [6]]),
            ("Gather", [integer("axis", Int64.max)], ["1": [0]]), ("Gather", [integer("axis", 0)], ["1": [0]]),
            ("Softmax", [integer("axis", 2)], [:]), ("Concat", [integer("axis", 2)], [:]), ("Clip", [], [:]),
            ("Split", [integer("axis", 1)], ["1": [3]]), ("Split", [integer("axis", Int64.min)], [:]),
            ("DepthToSpace", [integer("blocksize", 2)], [:]), ("Gemm", [], [:]), ("Max", [], [:]),
            ("Transpose", [.with { ($0.name, $0.ints) = ("perm", [1, 0, 2]) }], [:]),
            ("Transpose", [.with { ($0.name, $0.ints) = ("perm", [0, 2]) }], [:]), ("Erf", [], [:]),
        ]
        for (type, attributes, inputs) in cases {
            let error = #expect(throws: VisemeError.self, "\(type) \(inputs)") {
                try read(type, attributes, inputs: inputs)
            }
            #expect(error?.message.contains("'n'") == true, "\(error?.message ?? "")")
        }
    }

    @Test("Work beyond all numbers is an error for matrix products, too")
    func shapes() {
        func shape(_ operation: VisemeModels.Operation, _ given: [[Int]]) throws -> [Int] {
            let names = given.indices.map { "i\($0)" }
            return try ModelGraph.Node(operation, name: "n", inputs: names, output: "y")
                .shape(in: Dictionary(uniqueKeysWithValues: zip(names, given)))
        }
        let time = Convolution(strides: [1], padding: [0, 0], dilations: [4])
        let good: [(VisemeModels.Operation, [[Int]], [Int])] = [
            (.convolution(time), [[1, 8, 30], [8, 8, 3]], [1, 8, 22]), (.linear, [[1, 5], [7, 5], [7]], [1, 7]),
            (.multiply, [[1, 8, 4, 6], [1, 8, 1, 1]], [1, 8, 4, 6]), (.subtract, [[], [1, 3]], [1, 3]),
            (.pixelShuffle(2), [[1, 8, 3, 5]], [1, 2, 6, 10]), (.transpose([0, 2, 1]), [[1, 4, 6]], [1, 6, 4]),
            (.slice(axis: 2, 1..<3), [[1, 4, 6]], [1, 4, 2]), (.concatenate, [[1, 2], [1, 5]], [1, 7]),
        ]
        for (operation, given, made) in good {
            #expect((try? shape(operation, given)) == made, "\(operation.label) \(given)")
        }
        let bad: [(VisemeModels.Operation, [[Int]])] = [
            (.convolution(time), [[1, 8, 8], [8, 8, 3]]), (.convolution(time), [[1, 8, 4, 4], [8, 8, 3, 3]]),
            (.convolution(Convolution(dilations: [1])), [[1, 8, 4, 4], [8, 8, 3, 3]]), (.linear, [[1, 5], [7, 4]]),
            (.linear, [[1, 5, 1], [7, 5]]), (.multiply, [[1, 8], [1, 7]]), (.add, [[1, 8, 1], [1, 8]]),
            (.add, [[1, 8]]),
            (.pixelShuffle(3), [[1, 8, 3, 5]]), (.pixelShuffle(1), [[1, 8, 3, 5]]),
            (.transpose([1, 0]), [[1, 4]]), (.slice(axis: 0, 0..<1), [[1, 4]]), (.slice(axis: 1, 2..<5), [[1, 4]]),
            (.concatenate, [[1, 2], [1, 2, 1]]), (.softmax, [[4]]),
        ]
        for (operation, given) in bad {
            #expect(throws: VisemeError.self, "\(operation.label) \(given)") { try shape(operation, given) }
        }
    }

    @Test("Paddings that differ from side to side are written in Core ML's order, and read in ours")
    func paddings() throws {
        let x = TensorDescription(name: "x", shape: [.fixed(1), .fixed(1), .fixed(4), .fixed(4)])
        let y = TensorDescription(name: "y", shape: [.fixed(1), .fixed(1), .fixed(7), .fixed(5)])
        let convolution = Convolution(padding: [1, 2, 3, 0])  // top, left, bottom, right
        let graph = ModelGraph(
            inputs: [x], outputs: [y],
            nodes: [.init(.convolution(convolution), name: "c", inputs: ["x", "w"], output: "y")],
            weights: ["w": StoredTensor(name: "w", shape: [1, 1, 2, 2], floats: [1, 2, 3, 4])])
        let reader = try MLProgramReader(MLProgramWriter.package(graph, family: .audioEncoder), name: "pads")
        let pad = reader.block.operations.first { $0.outputs.first?.name == "y_pad" }
        #expect(pad?.attributes["val"]?.numbers == [1, 3, 2, 0], "top, bottom, left, right")
        #expect(try reader.graph().nodes.map(\.operation) == [.convolution(convolution)])
    }

    // In parts

    @Test("In parts the generator draws the same, with planes of the image as they are, from either format")
    func parts() async throws {
        guard Repository.canRunModels else { return }
        let backend = SplittingBackend(try Narrow.runner())
        for file in ["compact-generator.onnx", "compact-generator-fp32.mlpackage"] {
            var graph = try Narrow.open(file).network().graph
            #expect(graph.copiesPlanes)
            let values = probe(graph).values
            for i in graph.inputs.indices { graph.inputs[i].shape[0] = .batch }
            for i in graph.outputs.indices { graph.outputs[i].shape[0] = .batch }
            let data = try ONNXWriter.data(graph)
            var description = ModelDescription(
                role: .generator, file: file, sha256: ModelFile.sha256(of: data), inputs: graph.inputs,
                outputs: graph.outputs)
            description.file = "generator.onnx"
            let model = ModelFile(
                description, contents: data, madeFrom: URL(filePath: "generator.onnx"), family: .compact)
            let generator = try await backend.generators(
                model, count: 1, threads: 1, template: TemplateBudget(frames: 4, bytes: 1_000_000))[0]
            #expect(generator.keeping.reason == nil && generator.keeping.tensors.count == 2, "\(generator.keeping)")
            let isImageFirst = graph.inputs[0].shape.count == 4
            let mouth = try await generator.generate(
                image: values[isImageFirst ? 0 : 1], audio: values[isImageFirst ? 1 : 0])
            #expect(try error(mouth, "generator") <= 5e-3)
        }
    }
}
