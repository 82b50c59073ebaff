public import Viseme

extension TrainingVerdict {
    /// Judges a graph, folded or not.
    public init(_ graph: ModelGraph) { self.init(layers: LayerWeights.layers(of: graph)) }

    /// Judges layers.
    ///
    /// - Parameter looksAtShape: Whether `initialShape` is told from `trained`. It takes ten times as long as the rest, and an
    ///   engine accepts both.
    init(layers: [LayerWeights], looksAtShape: Bool = true) {
        guard !layers.isEmpty else {
            self.init(.unknown, evidence: ["no layers with weights"])
            return
        }
        let tests = layers.map(InitialValues.init)
        let judged = layers.indices.filter { layers[$0].weight.count >= 48 }
        let lattice = judged.filter { tests[$0].isOnTheLattice }
        let range = layers.indices.filter { tests[$0].hasInitialRange }
        let shape = looksAtShape ? judged.filter { tests[$0].hasInitialShape } : []
        let normalised = layers.filter { $0.normalisationIsUntouched != nil }
        let untouched = normalised.count { $0.normalisationIsUntouched == true }
        func share(_ part: Int, _ of: Int) -> String { "\(part) of \(of)" }
        var evidence = [
            "\(share(lattice.count, judged.count)) layers have only values that PyTorch's initialisation can draw"
        ]
        evidence.append("\(share(range.count, layers.count)) layers fill U(−1/√fan_in, 1/√fan_in) evenly")
        if looksAtShape {
            evidence.append(
                "\(share(shape.count, judged.count)) layers have evenly drawn weights up to a scale of each channel")
        }
        if !normalised.isEmpty {
            evidence.append("\(share(untouched, normalised.count)) batch normalisations have their first values")
        }
        var untouchedLayers: [String] = []
        let kind: Kind
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
        self.init(kind, evidence: evidence, untouchedLayers: untouchedLayers)
    }
}
