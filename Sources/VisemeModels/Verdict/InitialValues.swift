import Foundation

/// Tests of one layer against PyTorch's default initialisation, U(−B, B) with B = 1/√fan_in.
///
/// The facts behind them were measured on 237 fresh and 138 trained networks; none of them sees other initialisations
/// (normal, Xavier) or those drawn on a GPU.
struct InitialValues {
    private let values: [Float]
    private let layer: LayerWeights
    private let bound: Double

    init(_ layer: LayerWeights) {
        self.layer = layer
        values = layer.weight.floats()
        // As PyTorch computes it: kaiming_uniform_(a=√5).
        bound = (3.0).squareRoot() * ((2.0 / 6.0).squareRoot() / Double(layer.fanIn).squareRoot())
    }

    /// An untouched batch normalisation folds to this scale: 1/√(1 + 10⁻⁵).
    private static let untouchedScale = 1 / (1 + Float(1e-5)).squareRoot()

    /// Whether every weight is one of the 2²⁴ numbers that PyTorch's CPU generator can draw: B·(2k/2²⁴ − 1).
    ///
    /// By chance 8–51 % of trained weights are; all of them never, from a few dozen weights on. Float32 only.
    var isOnTheLattice: Bool {
        guard layer.weight.type == .float32, values.count >= 48 else { return false }
        // Where B is a power of two every number of Float16 or bfloat16 is such a draw: rounded weights prove nothing.
        guard values.contains(where: { $0.bitPattern & 0x1FFF != 0 }) else { return false }
        let s = Self.untouchedScale
        return [1, s, s.nextUp, s.nextDown].contains { scale in values.allSatisfy { isDrawn($0, scale) } }
    }

    private func isDrawn(_ value: Float, _ scale: Float) -> Bool {
        let to = Float(bound)
        let range = to + to
        let guess = ((value / scale + to) / range * 0x1p24).rounded()
        guard guess > -4, guess < 0x1p24 + 4 else { return false }
        for k in Int(guess) - 2...Int(guess) + 2 where (0..<1 << 24).contains(k) {
            let x = Float(k) * 0x1p-24
            // Whether the compiler of that PyTorch fused multiply and add is not known: either will do.
            if (x * range - to) * scale == value || (-to).addingProduct(x, range) * scale == value { return true }
        }
        return false
    }

    /// Whether the weights fill U(−B, B) to its edges, evenly, and the bias is zero or inside its bound.
    var hasInitialRange: Bool {
        let n = Double(values.count)
        let largest = Double(values.reduce(0) { max($0, abs($1)) })
        guard largest <= bound * (1 + 0x1p-10), largest >= bound * (1 - 20 / n) - 0x1p-10 else { return false }
        if let bias = layer.bias?.floats() {
            let limit = Float(1 / Double(layer.fanIn).squareRoot() * (1 + 0x1p-10))
            guard bias.allSatisfy({ abs($0) <= limit }) else { return false }
        }
        return Self.isUniform(values.map { Double($0) / bound }, halves: layer.weight.type == .float16)
    }

    /// Whether the weights of every output are even draws up to a scale of its own: it survives any batch normalisation.
    var hasInitialShape: Bool {
        let outputs = layer.weight.shape.first ?? 0
        guard outputs > 0, values.count / outputs >= 2 else { return false }
        let each = values.count / outputs
        var pooled: [Double] = []
        for c in 0..<outputs {
            let channel = values[c * each..<(c + 1) * each]
            guard let peak = channel.indices.max(by: { abs(channel[$0]) < abs(channel[$1]) }), channel[peak] != 0 else {
                return false
            }
            for i in channel.indices where i != peak { pooled.append(Double(channel[i]) / Double(abs(channel[peak]))) }
        }
        return pooled.count >= 24 && Self.isUniform(pooled, halves: layer.weight.type == .float16)
    }

    /// The Kolmogorov–Smirnov distance to U(−1, 1), times √n, below 2.5: chance stays below it but for one case in 10⁵.
    ///
    /// Many numbers are counted in 2¹⁶ steps instead of sorted, which moves the distance by 2⁻¹⁶ at most: 0.02 times √n.
    private static let steps = 1 << 16

    private static func isUniform(_ sample: [Double], halves: Bool) -> Bool {
        guard sample.allSatisfy(\.isFinite) else { return false }
        let n = Double(sample.count)
        var distance = 0.0
        if sample.count > steps {
            var counts = [Int](repeating: 0, count: steps)
            for x in sample { counts[min(steps - 1, Int(min(1, max(0, (x + 1) / 2)) * Double(steps)))] += 1 }
            var below = 0
            for (step, count) in counts.enumerated() {
                below += count
                distance = max(distance, abs(Double(below) / n - Double(step + 1) / Double(steps)))
            }
        } else {
            for (i, x) in sample.sorted().enumerated() {
                let expected = min(1, max(0, (x + 1) / 2))
                distance = max(distance, abs(Double(i) / n - expected), abs(Double(i + 1) / n - expected))
            }
        }
        return distance * n.squareRoot() < 2.5 + (halves ? 0x1p-11 * n.squareRoot() : 0)
    }
}
