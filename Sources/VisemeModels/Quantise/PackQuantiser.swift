public import Foundation
public import Viseme

/// Makes a pack whose generator computes in int8. The loss of quality is measured and recorded; too much of it is an error.
public struct PackQuantiser: Sendable {
    /// The least quality that is written: decibels against Float32 on held-out frames.
    public static let leastPSNR = 38.0
    /// The least correlation of the mouth's largest movement with that of Float32.
    public static let leastArticulation = 0.995
    /// Template frames and moments of speech that the grids are fitted to.
    var samples = 48

    private let backend: any InferenceBackend & GraphLoader
    private let media: any MediaBackend
    private let tool: String

    /// Makes a quantiser.
    ///
    /// - Parameters:
    ///   - tool: Name and version of the program.
    ///   - backend: Runs the networks.
    ///   - media: Opens the template and the speech.
    public init(tool: String, backend: any InferenceBackend & GraphLoader, media: any MediaBackend) {
        self.tool = tool
        self.backend = backend
        self.media = media
    }

    /// Writes a copy of a pack with its generator in int8.
    ///
    /// - Parameters:
    ///   - avatar: A pack whose generator is an ONNX file in Float32.
    ///   - target: The folder to write.
    ///   - speech: The speech that the grids are fitted to, a few seconds or more; nil for the pack's golden speech.
    /// - Returns: The loss of quality.
    /// - Throws: `.badData` when it costs too much, or the pack's generator is in int8 already; `.cannotCreate`.
    public func run(
        _ avatar: Avatar, to target: URL, speech: (any SpeechReader)? = nil, overwrite: Bool = false
    ) async throws -> PrecisionCost {
        let files = FileManager.default
        guard overwrite || !files.fileExists(atPath: target.path) else {
            throw VisemeError(.cannotCreate, "'\(target.path)' exists.", hint: "Choose another name, or add --force.")
        }
        for role in avatar.manifest.models.map(\.role) { _ = try await WeightJudge().admit(avatar.model(role)) }
        let description = try avatar.model(.generator).description
        let source = try ONNXReader.graph(avatar.model(.generator).read(), name: description.file).folded()
        guard source.weightSteps.isEmpty, source.grids.isEmpty else {
            throw VisemeError(.badData, "The generator of '\(avatar.manifest.name)' is in int8 already.")
        }
        let samples = try await GeneratorSamples(
            of: avatar, featureWindows: try await featureWindows(of: avatar, speech), media: media, count: self.samples)
        var graph = source.quantised(ranges: try await ranges(of: source, on: samples.calibration))
        let cost = try await cost(of: graph, against: source, samples)
        guard cost.psnr >= Self.leastPSNR, cost.articulation >= Self.leastArticulation else {
            let found = String(format: "%.1f dB and r %.4f", cost.psnr, cost.articulation)
            throw VisemeError(
                .badData,
                "In int8 the mouths of '\(avatar.manifest.name)' come within \(found) of Float32, expected at least "
                    + "\(Self.leastPSNR) dB and r \(Self.leastArticulation).",
                hint:
                    "Nothing was written. Give it more of the speech that it will hear with --speech, or stay with fp32."
            )
        }
        graph.metadata["viseme.tool"] = tool
        graph.metadata["viseme.precision"] = cost.name
        graph.metadata["viseme.source.sha256"] = description.sha256
        try await write(graph, cost, avatar, to: target)
        return cost
    }

    /// Feature windows of the speech, one a frame.
    private func featureWindows(of avatar: Avatar, _ speech: (any SpeechReader)?) async throws -> [[Float]] {
        let encoder = try await backend.audioEncoder(avatar.model(.audioEncoder), threads: 1)
        var timeline = SpeechTimeline(avatar.family, choice: avatar.manifest.featureWindow)
        if let speech {
            // A minute is plenty.
            for _ in 0..<60 { if let samples = try await speech.read() { timeline.append(samples) } }
        } else if let golden = avatar.manifest.goldenSpeech {
            timeline.append(try GoldenSpeechFiles(golden, of: avatar).samples)
        } else {
            throw VisemeError(
                .usage, "'\(avatar.manifest.name)' has no golden speech to fit int8 to.",
                hint: "Give it some with --speech.")
        }
        timeline.finish()
        var featureWindows: [[Float]] = []
        while true {
            let (batch, count) = timeline.takeMelWindows(limit: 16)
            guard count > 0 else { break }
            timeline.accept(rows: try await encoder.encode(batch, count: count))
            while let frame = timeline.nextFrame() { featureWindows.append(frame.featureWindow) }
        }
        guard featureWindows.count >= 16 else {
            throw VisemeError(
                .badData, "\(featureWindows.count) frames of speech are too few to fit int8 to, expected 16 or more.")
        }
        return featureWindows
    }

    private func probe(_ sample: (image: [Float], audio: [Float]), of graph: ModelGraph) -> ProbeInputs {
        ProbeInputs(
            name: "sample", values: graph.isImageFirst ? [sample.image, sample.audio] : [sample.audio, sample.image])
    }

    /// The least and the largest value of every tensor. Tensors are fetched in groups, so that memory stays bounded.
    private func ranges(
        of graph: ModelGraph, on samples: [(image: [Float], audio: [Float])]
    ) async throws -> [String: ClosedRange<Float>] {
        var ranges: [String: ClosedRange<Float>] = [:]
        func include(_ values: [Float], _ name: String) throws {
            guard values.allSatisfy(\.isFinite) else {
                throw VisemeError(.badData, "The generator gives numbers that are not finite at '\(name)'.")
            }
            let (least, largest) = values.withUnsafeBufferPointer { ($0.min() ?? 0, $0.max() ?? 0) }
            let known = ranges[name] ?? least...largest
            ranges[name] = min(known.lowerBound, least)...max(known.upperBound, largest)
        }
        for group in try graph.groups(of: graph.nodes.map(\.output)) {
            let network = try await graph.loaded(by: backend, exposing: group)
            for sample in samples {
                try Task.checkCancellation()
                for (name, values) in zip(group, try await network.values(of: group, on: probe(sample, of: graph))) {
                    try include(values, name)
                }
            }
        }
        for sample in samples {
            for (input, values) in zip(graph.inputs, probe(sample, of: graph).values) {
                try include(values, input.name)
            }
        }
        return ranges
    }

    private func cost(
        of graph: ModelGraph, against source: ModelGraph, _ samples: GeneratorSamples
    ) async throws -> PrecisionCost {
        func mouths(_ graph: ModelGraph, _ samples: [(image: [Float], audio: [Float])]) async throws -> [[Float]] {
            try await graph.loaded(by: backend).outputs(of: samples.map { probe($0, of: graph) }).map { $0[0] }
        }
        let (exact, rounded) = (try await mouths(source, samples.heldOut), try await mouths(graph, samples.heldOut))
        var (sum, count) = (0.0, 0)
        for (a, b) in zip(exact, rounded) {
            for (x, y) in zip(a, b) { sum += Double(x - y) * Double(x - y) }
            count += a.count
        }
        let (moved, other) = (try await mouths(source, samples.oneFrame), try await mouths(graph, samples.oneFrame))
        return PrecisionCost(
            name: "int8", psnr: 10 * log10(1 / max(1e-12, sum / Double(max(1, count)))),
            articulation: Articulation(of: moved).correlation(with: other, and: moved), frames: samples.heldOut.count)
    }

    private func write(_ graph: ModelGraph, _ cost: PrecisionCost, _ avatar: Avatar, to target: URL) async throws {
        let files = FileManager.default
        let partial = target.deletingLastPathComponent().appending(
            path: ".\(target.lastPathComponent).partial-\(ProcessInfo.processInfo.processIdentifier)")
        do {
            try PackCopy.make(of: avatar.url, at: partial)
        } catch {
            try? files.removeItem(at: partial)  // the first error is the one that counts
            throw VisemeError(.cannotCreate, "'\(target.path)' cannot be written.", cause: error)
        }
        do {
            var manifest = avatar.manifest
            let data = try ONNXWriter.data(graph)
            for index in manifest.models.indices where manifest.models[index].role == .generator {
                try data.write(to: partial.appending(path: manifest.models[index].file))
                manifest.models[index].sha256 = ModelFile.sha256(of: data)
                manifest.models[index].precision = cost
            }
            // The golden answer was given in Float32. A few pixels at an edge may be far from it in int8; how close the mouth as
            // a whole comes was measured above, and this only finds another network.
            for index in (manifest.golden ?? []).indices where manifest.golden?[index].role == .generator {
                manifest.golden?[index].tolerance = 0.5
            }
            try manifest.update(in: partial)
            // Read back as any program will: hash, contract, one run.
            let written = try Avatar(contentsOf: partial)
            _ = try await backend.generator(written.model(.generator), threads: 1)
            try FinishedOutput.publish(partial, as: target)
        } catch {
            try? files.removeItem(at: partial)  // the first error is the one that counts
            throw error
        }
    }
}
