public import Foundation
public import Viseme

/// Turns a model into another format: every weight accounted for, and nothing under the final name before it was proved.
public struct ModelConverter: Sendable {
    /// How weights are stored; a Core ML package of fp16 computes in Float16 as well.
    public enum Precision: String, Sendable, Codable, CaseIterable {
        case fp32, fp16
    }

    /// What a conversion found out.
    public struct Report: Sendable, Codable {
        /// The source's and the result's SHA-256.
        public var sourceSHA256, resultSHA256: String
        /// The network, in words.
        public var family: String
        /// Of the source's weights.
        public var verdict: TrainingVerdict
        /// The result as read back against the source's own arithmetic with the same weights, on every probe.
        public var proof: [TensorDifference]
        /// The largest difference that `proof` may have.
        public var tolerance: Double
        /// fp16 against fp32: what the precision itself costs. Empty for fp32.
        public var precisionGap: [TensorDifference]
        /// How the proof was run, in words.
        public var runtime: String
    }

    /// Lets networks pass that were never trained; the result is stamped. For tests.
    public var allowUntrained = false
    /// How weights are stored.
    public var precision = Precision.fp32
    /// What a checkpoint's audio branch reads, where the tensors' shapes do not tell.
    public var audio: GeneratorArchitecture.Audio?
    /// Name and version of the program, for the result's metadata.
    public var tool: String
    private let runner: any GraphLoader

    /// Makes a converter.
    ///
    /// - Parameters:
    ///   - tool: Name and version of the program, such as "viseme 0.2.0".
    ///   - runner: What runs source and result.
    public init(tool: String, runner: any GraphLoader) {
        self.tool = tool
        self.runner = runner
    }

    /// Converts a model.
    ///
    /// - Parameters:
    ///   - source: A checkpoint, an ONNX file or a Core ML package.
    ///   - target: Ends in `.onnx` or `.mlpackage`.
    ///   - overwrite: Whether an existing target may be replaced.
    /// - Throws: `.badData` for a source whose tensors are not exactly the architecture's, that was never trained, or whose
    ///   conversion does not compute what it computes; `.cannotCreate` when the target exists.
    public func convert(_ source: URL, to target: URL, overwrite: Bool = false) async throws -> Report {
        let isPackage = target.pathExtension == "mlpackage"
        guard isPackage || target.pathExtension == "onnx" else {
            throw VisemeError(
                .usage, "'\(target.lastPathComponent)' ends in neither .onnx nor .mlpackage.",
                hint: "The ending chooses the format.")
        }
        guard overwrite || !FileManager.default.fileExists(atPath: target.path) else {
            throw VisemeError(
                .cannotCreate, "'\(target.path)' exists.", hint: "Give another name, or --force to replace it.")
        }
        var prepared = try await prepare(source, isPackage: isPackage)
        let scratch = target.deletingLastPathComponent().appending(
            path: ".\(target.lastPathComponent).\(UUID().uuidString).part.\(target.pathExtension)")
        // What is left of a conversion that failed has no name that anybody uses.
        defer { try? FileManager.default.removeItem(at: scratch) }
        try write(prepared, to: scratch, isPackage: isPackage)
        var report = Report(
            sourceSHA256: prepared.sourceSHA256, resultSHA256: "", family: prepared.family.text,
            verdict: prepared.verdict, proof: [], tolerance: prepared.family.role == .audioEncoder ? 1e-4 : 1e-3,
            precisionGap: [],
            runtime: isPackage ? "Core ML package, translated, run by ONNX Runtime" : "ONNX Runtime")
        try await prove(scratch, &prepared, &report)
        report.resultSHA256 = try ModelFile.sha256(at: scratch)
        try FinishedOutput.publish(scratch, as: target)
        return report
    }

    /// What is to be written, and what it must compute. The source is not in memory any more.
    private struct Prepared {
        var sourceSHA256: String
        var family: ModelFamily
        var verdict: TrainingVerdict
        var graph: ModelGraph
        /// The source's own arithmetic on every probe: unfolded and unoptimised, of an ONNX file by the file itself; for fp16 its
        /// weights rounded as in the result.
        var expected: [[Float]]
        /// What it computes in fp32; empty unless the result is fp16.
        var inFull: [[Float]]
    }

    private func prepare(_ source: URL, isPackage: Bool) async throws -> Prepared {
        let model = try OpenedModel(at: source, audio: audio)
        let (graph, family) = try model.network()
        let verdict = model.verdict
        try check(verdict, of: source)
        guard graph.unusedTensors.isEmpty else {
            throw VisemeError(
                .badData,
                "'\(source.lastPathComponent)' has tensors that its network does not use: "
                    + graph.unusedTensors.joined(separator: ", ") + ".",
                hint: "Export it again; a left-over tensor is a sign that something was not connected.")
        }
        let broken = graph.weights.values.filter { tensor in !tensor.floats().allSatisfy(\.isFinite) }.map(\.name)
            .sorted()
        guard broken.isEmpty else {
            throw VisemeError(
                .badData,
                "'\(source.lastPathComponent)' has weights that are not numbers: \(broken.joined(separator: ", ")).")
        }
        let probes = ProbeInputs.all(for: graph, family: family)
        let exported = try await exported(model, graph)?.outputs(of: probes)
        var expected: [[[Float]]] = []
        if precision == .fp32 {
            expected =
                if let exported { exported } else {
                    try await graph.outputs(of: probes, runner: runner, optimised: false)
                }
        }
        let folded = graph.folded()
        var result = try folded.withWeights(as: precision == .fp16 ? .float16 : .float32)
        var inFull: [[[Float]]] = []
        if precision == .fp16 {
            expected = try await result.outputs(of: probes, runner: runner, optimised: false)
            inFull = if let exported { exported } else { try await folded.outputs(of: probes, runner: runner) }
        }
        result.computesInHalf = isPackage && precision == .fp16
        result.metadata = metadata(model, folded, family, verdict)
        return Prepared(
            sourceSHA256: model.sha256, family: family, verdict: verdict, graph: result,
            expected: expected.map { $0[0] }, inFull: inFull.map { $0[0] })
    }

    /// An ONNX file as it is, so that the proof does not rest on how Viseme read it; nil for other formats, and for files whose
    /// inputs, outputs or arithmetic are not Float32.
    private func exported(_ model: OpenedModel, _ graph: ModelGraph) async throws -> LoadedNetwork? {
        guard model.format == .onnx, model.operations["QuantizeLinear"] == nil else { return nil }
        let data = try ONNXReader.selfContained(at: model.url)
        let file = try ONNXReader.model(data, name: model.url.lastPathComponent).graph
        guard (file.input + file.output).allSatisfy({ $0.type.tensorType.elemType == 1 }) else { return nil }
        var outline = graph
        outline.weights = [:]
        return LoadedNetwork(
            outline: outline, shapes: try graph.shapes(),
            network: try await runner.graph(data, name: "source", threads: 1, optimised: false))
    }

    private func write(_ prepared: Prepared, to file: URL, isPackage: Bool) throws {
        guard !isPackage else {
            let package = try MLProgramWriter.package(prepared.graph, family: prepared.family)
            try FileManager.default.createDirectory(at: file, withIntermediateDirectories: true)
            return try package.write(to: file)
        }
        let data = try ONNXWriter.data(prepared.graph)
        do {
            try data.write(to: file)
        } catch {
            throw VisemeError(
                .cannotCreate, "'\(file.path)' cannot be written.",
                hint: "Is the folder writable, and the disk not full?", cause: error)
        }
    }

    private func check(_ verdict: TrainingVerdict, of source: URL) throws {
        guard [.neverTrained, .partly].contains(verdict.kind), !allowUntrained else { return }
        throw VisemeError(
            .badData,
            "'\(source.lastPathComponent)' is \(verdict.kind.rawValue):\n  \(verdict.evidence.joined(separator: "\n  "))",
            hint:
                "A mouth driven by such weights stays shut or trembles. Find the trained checkpoint. (--allow-untrained is for tests.)"
        )
    }

    /// Compares the result, read back, with what was to be written, and its outputs with the source's arithmetic.
    private func prove(_ file: URL, _ prepared: inout Prepared, _ report: inout Report) async throws {
        let (network, family) = try await readBack(file, as: prepared.graph)
        prepared.graph.weights = [:]  // they are in the file, and running it takes memory enough
        let probes = ProbeInputs.all(for: network.outline, family: family)
        let actual = try await network.outputs(of: probes).map { $0[0] }
        report.proof = zip(probes, zip(prepared.expected, actual)).map { TensorDifference($0.name, $1.0, $1.1) }
        report.precisionGap = zip(probes, zip(prepared.inFull, actual)).map { TensorDifference($0.name, $1.0, $1.1) }
        if let worst = report.proof.first(where: { !($0.maximum <= report.tolerance) }) {
            throw VisemeError(
                .badData,
                "The conversion does not compute what its source computes: \(worst.line); allowed is \(report.tolerance).",
                hint: "Nothing was written. viseme compare shows the first layer that differs.")
        }
    }

    /// Loads the result; every weight must be there, bit by bit.
    private func readBack(_ file: URL, as wanted: ModelGraph) async throws -> (LoadedNetwork, ModelFamily) {
        let (graph, family) = try OpenedModel(at: file).network()
        for (node, partner) in try wanted.aligned(with: graph) {
            guard let partner, node.operation == partner.operation else {
                throw VisemeError(
                    .internal, "The file that was written lacks the operation '\(node.name)'.",
                    hint: "Please report this with the source's architecture.")
            }
            for (name, other) in zip(node.inputs, partner.inputs) {
                guard let weight = wanted.weights[name] else { continue }
                guard let written = graph.weights[other], written.floats() == weight.floats() else {
                    throw VisemeError(
                        .internal, "The weight '\(name)' was not written as it was read.",
                        hint: "Please report this with the source's architecture.")
                }
            }
        }
        return (try await graph.loaded(by: runner), family)
    }

    private func metadata(_ model: OpenedModel, _ folded: ModelGraph, _ family: ModelFamily, _ verdict: TrainingVerdict)
        -> [String: String]
    {
        var metadata = model.metadata.filter {
            ["license", "licence", "author", "description"].contains($0.key.lowercased())
        }
        metadata["viseme.tool"] = tool
        metadata["viseme.source"] = model.url.lastPathComponent
        metadata["viseme.source.sha256"] = model.sha256
        metadata["viseme.tensors.sha256"] = folded.tensorDigest()
        metadata["viseme.family"] = family.text
        metadata["viseme.precision"] = precision.rawValue
        metadata["viseme.verdict"] = verdict.kind.rawValue
        if allowUntrained, [.neverTrained, .partly].contains(verdict.kind) {
            metadata["viseme.untrained"] = "allowed by --allow-untrained"
        }
        return metadata
    }
}

extension ModelGraph {
    /// SHA-256 over the convolutions' weights of the folded network, whatever their names and order: the same in every fp32 format,
    /// and what training writes beside a network (`viseme_train.onnx_file`). A kernel that copies planes was not learned.
    public func tensorDigest() -> String {
        let convolutions = nodes.filter { if case .convolution = $0.operation { true } else { false } }
        let used = Set(convolutions.flatMap { $0.inputs.dropFirst() })
        let learned = weights.filter { used.contains($0.key) && $0.value.copiedPlanes == nil }
        let lines = learned.values.map { weight in
            // As Float32; only Float16 can be too large for a conversion, so this one cannot fail.
            let full =
                weight.type == .float32 ? weight : StoredTensor(name: "", shape: weight.shape, floats: weight.floats())
            return "\(weight.shape) \(ModelFile.sha256(of: full.bytes))\n"
        }
        return ModelFile.sha256(of: Data(lines.sorted().joined().utf8))
    }
}
