import Foundation

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

    /// Judges a graph, folded or not.
    public init(_ graph: ModelGraph) { self.init(layers: LayerWeights.layers(of: graph)) }

    init(layers: [LayerWeights]) {
        untouchedLayers = []
        guard !layers.isEmpty else {
            kind = .unknown
            evidence = ["no layers with weights"]
            return
        }
        let tests = layers.map(InitialValues.init)
        let judged = layers.indices.filter { layers[$0].weight.count >= 48 }
        let lattice = judged.filter { tests[$0].isOnTheLattice }
        let range = layers.indices.filter { tests[$0].hasInitialRange }
        let shape = judged.filter { tests[$0].hasInitialShape }
        let normalised = layers.filter { $0.normalisationIsUntouched != nil }
        let untouched = normalised.count { $0.normalisationIsUntouched == true }
        func share(_ part: Int, _ of: Int) -> String { "\(part) of \(of)" }
        evidence = [
            "\(share(lattice.count, judged.count)) layers have only values that PyTorch's initialisation can draw"
        ]
        evidence.append("\(share(range.count, layers.count)) layers fill U(−1/√fan_in, 1/√fan_in) evenly")
        evidence.append(
            "\(share(shape.count, judged.count)) layers have evenly drawn weights up to a scale of each channel")
        if !normalised.isEmpty {
            evidence.append("\(share(untouched, normalised.count)) batch normalisations have their first values")
        }
        if !judged.isEmpty && lattice.count == judged.count || range.count * 100 >= layers.count * 95 {
            kind = .neverTrained
        } else if !lattice.isEmpty {
            kind = .partly
            untouchedLayers = lattice.map { layers[$0].name }
        } else if !judged.isEmpty && shape.count * 10 >= judged.count * 9 {
            kind = .initialShape
        } else {
            kind = .trained
        }
        if !untouchedLayers.isEmpty { evidence.append("untouched: " + untouchedLayers.joined(separator: ", ")) }
    }
}
