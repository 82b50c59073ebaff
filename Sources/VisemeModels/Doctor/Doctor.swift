public import Foundation
public import Viseme

/// Finds out why a mouth does not move as it should: probes every stage of a pack and names the guilty one.
public struct Doctor: Sendable {
    private let backend: any InferenceBackend
    private let runner: any GraphLoader
    private let media: any MediaBackend

    /// Makes a doctor.
    ///
    /// - Parameters:
    ///   - backend: What runs the models: the same stack that a render uses, `TranslatingBackend(splitting:)`.
    ///   - runner: What runs single models.
    ///   - media: What decodes the template.
    public init(backend: any InferenceBackend, runner: any GraphLoader, media: any MediaBackend) {
        self.backend = backend
        self.runner = runner
        self.media = media
    }

    /// Examines a pack. What is wrong with it is in the report, not thrown.
    public func examine(packAt url: URL) async -> DoctorReport {
        var report = DoctorReport()
        let avatar: Avatar
        do {
            avatar = try Avatar(contentsOf: url)
        } catch {
            report.bad(.files, "\(error)")
            return report
        }
        await files(avatar, &report)
        var models: [ModelRole: OpenedModel] = [:]
        for role in ModelRole.allCases {
            guard let description = avatar.manifest.models.first(where: { $0.role == role }) else {
                guard ModelRole.drawing.contains(role) else { continue }
                report.bad(
                    .contract, "the pack has no \(role.rawValue)",
                    "viseme avatar import SOURCE OUT --\(role.rawValue) FILE")
                continue
            }
            models[role] = Self.open(description, avatar, &report)
        }
        // Nothing that does not match its hash is ever run.
        guard report.isHealthy, let encoderModel = models[.audioEncoder], let generatorModel = models[.generator] else {
            return report
        }
        contract(avatar, &report)
        for model in [encoderModel, generatorModel, models[.articulator]].compactMap(\.self) {
            Self.weights(model, &report)
        }
        do {
            let encoder = try await backend.audioEncoder(try avatar.model(.audioEncoder), threads: 1)
            // In parts where the backend splits it, as a render runs it.
            let generator = try await backend.generators(
                try avatar.model(.generator), count: 1, threads: 1,
                template: TemplateBudget(frames: avatar.manifest.frames, bytes: 200_000_000))[0]
            let runtime = encoder.runtime
            report.good(
                .runtime,
                "\(runtime.runtime) \(runtime.version), provider \(runtime.provider), \(runtime.threads) thread(s) a model"
            )
            guard generator.imageSize == avatar.manifest.geometry.roi else {
                report.bad(
                    .contract,
                    "the generator's images have \(generator.imageSize) pixels, \"geometry\" says \(avatar.manifest.geometry.roi)",
                    "Correct \"geometry\" in avatar.json, or give the pack the generator that belongs to it.")
                return report
            }
            let articulator =
                models[.articulator] == nil
                ? nil : try await backend.articulator(try avatar.model(.articulator), threads: 1)
            await PackProbes(
                avatar: avatar, encoder: encoder, generator: generator, articulator: articulator, media: media
            ).run(&report)
        } catch let error as VisemeError where error.code == .unavailable {
            report.bad(.runtime, "\(error)")
        } catch {
            report.bad(.contract, "\(error)")
        }
        return report
    }

    /// Examines a single model.
    public func examine(modelAt url: URL) async -> DoctorReport {
        var report = DoctorReport()
        do {
            let model = try OpenedModel(at: url)
            report.good(.files, "\(url.lastPathComponent): \(model.format.rawValue), SHA-256 \(model.sha256)")
            if let problem = model.problem, !model.runsAsExported {
                // A checkpoint with NaN is no network any more, but its weights are what is wrong with it.
                if !Self.finite(model, &report) { return report }
                report.bad(.contract, "\(problem)")
                return report
            }
            let (family, answers) = try await answers(of: model, &report)
            report.good(.runtime, "runs in ONNX Runtime")
            switch family.role {
            case .audioEncoder: PackProbes.encoder(speech: Array(answers[2...].joined()), silence: answers[1], &report)
            case .generator: PackProbes.generator(speech: answers[0], silence: answers[1], &report)
            case .articulator: PackProbes.articulator(speech: answers[0], silence: answers[1], &report)
            }
        } catch let error as VisemeError where error.code == .unavailable {
            report.bad(.runtime, "\(error)")
        } catch let error as VisemeError where error.code == .unsupported {
            report.bad(.contract, "\(error)")
        } catch {
            report.bad(.files, "\(error)")
        }
        return report
    }

    /// What a model makes of the probes.
    private func answers(
        of model: OpenedModel, _ report: inout DoctorReport
    ) async throws -> (ModelFamily, [[Float]]) {
        guard model.runsAsExported, let family = model.family, let contract = family.contract.contract(of: family.role)
        else {
            let (graph, family) = try model.network()
            report.good(.contract, family.text)
            Self.weights(model, &report)
            let folded = graph.folded()
            let probes = ProbeInputs.all(for: folded, family: family)
            return (family, try await folded.outputs(of: probes, runner: runner).map { $0[0] })
        }
        // As it was exported.
        report.good(.contract, family.text)
        Self.weights(model, &report)
        let description = ModelDescription(
            role: family.role, file: model.url.lastPathComponent, sha256: model.sha256, inputs: model.inputs,
            outputs: model.outputs)
        let tensors = try TensorBinding(contract, inputs: model.inputs, outputs: model.outputs, of: description)
        let loaded = try await runner.graph(
            ONNXReader.selfContained(at: model.url), name: description.file, threads: 1, optimised: true)
        var answers: [[Float]] = []
        for probe in ProbeInputs.all(for: nil, family: family) {
            let inputs = zip(contract.inputs, probe.values).map { Tensor(tensors.slot($0.role), .float32($1)) }
            let made = try await loaded.run(inputs, outputs: contract.outputs.map { tensors.slot($0.role) })
            answers.append(made.first?.floats ?? [])
        }
        return (family, answers)
    }

    private func files(_ avatar: Avatar, _ report: inout DoctorReport) async {
        report.good(.files, "avatar.json and \(avatar.squares.count) crop squares")
        do {
            try await avatar.verifyTemplate(media: media)
            report.good(
                .files,
                "the template has \(avatar.manifest.frames) frames of \(avatar.manifest.width)×\(avatar.manifest.height)"
            )
        } catch {
            report.bad(.files, "\(error)")
        }
        for golden in avatar.manifest.golden ?? [] {
            for path in golden.inputs + [golden.output]
            where !FileManager.default.fileExists(atPath: avatar.url.appending(path: path).path) {
                report.bad(.files, "the golden file '\(path)' is missing", "Restore the pack from where it came.")
            }
        }
    }

    private static func open(_ description: ModelDescription, _ avatar: Avatar, _ report: inout DoctorReport)
        -> OpenedModel?
    {
        do {
            try avatar.model(description.role).verify()
            report.good(.files, "\(description.file) has the manifest's SHA-256")
        } catch {
            report.bad(.files, "\(error)")
            return nil
        }
        do {
            let model = try OpenedModel(at: try avatar.member(description.file))
            if let problem = model.problem, !model.runsAsExported { throw problem }
            guard model.family?.role == description.role else {
                report.bad(
                    .contract,
                    "\(description.file) is declared as \(description.role.rawValue), it is \(model.family?.text ?? "no network of this family")",
                    "viseme inspect shows what the file is.")
                return nil
            }
            return model
        } catch let error as VisemeError where error.code == .badData {
            report.bad(.files, "\(error)")
        } catch {
            report.bad(.contract, "\(error)")
        }
        return nil
    }

    private func contract(_ avatar: Avatar, _ report: inout DoctorReport) {
        let geometry = avatar.manifest.geometry
        let sizes = "crop \(geometry.crop), roi \(geometry.roi), border \(geometry.border)"
        if let training = avatar.family.geometry(roi: geometry.roi), avatar.manifest.precut == nil,
            geometry.border != training.border
        {
            report.bad(
                .crop, "the geometry is \(sizes), that of training had the border \(training.border)",
                "Correct \"geometry\" in avatar.json.")
        } else {
            report.good(.contract, "\(sizes), \(avatar.manifest.colourOrder.rawValue), \(avatar.manifest.fps) fps")
        }
    }

    /// Trained or not, finite, alive, and the tensors that were exported.
    static func weights(_ model: OpenedModel, _ report: inout DoctorReport) {
        let file = model.url.lastPathComponent
        let statistics = ModelReport(model)
        let verdict = statistics.verdict
        switch verdict.kind {
        case .neverTrained, .partly:
            // The words of the engine, which refuses it.
            let refusal = verdict.refusal(of: file)
            report.bad(.weights, refusal?.message ?? "", refusal?.hint)
        case .initialShape:
            report.good(.weights, "\(file): \(verdict.kind.rawValue), as lightly trained networks have it")
        case .trained, .unknown: report.good(.weights, "\(file): \(verdict.kind.rawValue)")
        }
        _ = finite(model, &report)
        let dead = statistics.layers.filter { $0.minimum == 0 && $0.maximum == 0 }
        if !dead.isEmpty {
            report.bad(.weights, "\(file): all weights of \(dead.map(\.name).joined(separator: ", ")) are zero")
        }
        if let recorded = model.metadata["viseme.tensors.sha256"],
            model.metadata["viseme.precision"] ?? "fp32" == "fp32",
            let digest = model.graph?.folded().tensorDigest(), digest != recorded
        {
            report.bad(
                .weights,
                "\(file): the weights are not those that were exported: digest \(digest.prefix(12))…, recorded \(recorded.prefix(12))…",
                "Export or convert the model again from its checkpoint.")
        }
    }

    /// Names the tensors whose elements are not all numbers.
    private static func finite(_ model: OpenedModel, _ report: inout DoctorReport) -> Bool {
        let tensors =
            model.graph.map { Array($0.weights.values) } ?? model.state?.tensors ?? model.looseLayers.map(\.weight)
        let broken = tensors.map { ($0.name, $0.floats().count { !$0.isFinite }) }.filter { $0.1 > 0 }
        for (name, count) in broken.sorted(by: { $0.0 < $1.0 }) {
            report.bad(
                .weights, "\(model.url.lastPathComponent): \(count) elements of '\(name)' are not numbers",
                "Float16 ends at 65504: convert the checkpoint again, in fp32.")
        }
        return broken.isEmpty
    }
}
