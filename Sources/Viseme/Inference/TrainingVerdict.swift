/// Whether a network was ever trained, judged from its weights alone.
public struct TrainingVerdict: Sendable, Codable, Equatable {
    /// The verdicts.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// No sign of the initial values.
        case trained = "TRAINED"
        /// The weights are a fresh network's.
        case neverTrained = "NEVER TRAINED"
        /// Some layers are a fresh network's, the others are not.
        case partly = "PARTLY TRAINED"
        /// The weights have the shape of initial values; lightly trained networks have it, too. A warning.
        case initialShape = "INITIAL SHAPE"
        /// There is nothing to judge.
        case unknown = "UNKNOWN"
    }

    /// The verdict.
    public var kind: Kind
    /// What it rests on, in words and numbers.
    public var evidence: [String]
    /// The layers that look untouched, where only some do.
    public var untouchedLayers: [String]

    /// States a verdict.
    public init(_ kind: Kind, evidence: [String] = [], untouchedLayers: [String] = []) {
        self.kind = kind
        self.evidence = evidence
        self.untouchedLayers = untouchedLayers
    }

    /// Why a model with this verdict is refused; nil for one that may run.
    ///
    /// - Parameter file: The model's file name.
    public func refusal(of file: String) -> VisemeError? {
        guard kind == .neverTrained || kind == .partly else { return nil }
        return VisemeError(
            .badData, "\(file) is \(kind.rawValue): \(evidence.joined(separator: "; "))",
            hint:
                "Such a mouth stays shut. Find the trained checkpoint and convert it: viseme convert CHECKPOINT.pth \(file)"
        )
    }
}

/// Judges models from their weights. `Engine` asks it about every model before it runs one.
public protocol ModelJudge: Sendable {
    /// The verdict on a model, in any format that a backend loads.
    ///
    /// - Throws: `.noInput` or `.badData` when the file is absent, damaged or not the one that the manifest describes.
    func verdict(on model: ModelFile) async throws -> TrainingVerdict
}

extension ModelJudge {
    /// Reads a model and lets it pass if it may run.
    ///
    /// - Parameter allowUntrained: Whether one that was never trained may run, and one that cannot be judged.
    /// - Returns: The model with its checked bytes in memory, and the verdict.
    /// - Throws: `.badData` for a model that was never trained, in whole or in part; otherwise as `verdict(on:)`.
    @concurrent public func admit(
        _ model: ModelFile, allowUntrained: Bool = false
    ) async throws -> (model: ModelFile, verdict: TrainingVerdict) {
        let model = try model.inMemory()
        do {
            let verdict = try await verdict(on: model)
            if !allowUntrained, let refusal = verdict.refusal(of: model.description.file) { throw refusal }
            return (model, verdict)
        } catch let error as VisemeError where allowUntrained && error.code == .unsupported {
            return (model, TrainingVerdict(.unknown, evidence: [error.message]))
        }
    }
}
