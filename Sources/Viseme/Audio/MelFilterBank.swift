import Foundation

/// Slaney-scale, Slaney-normalised triangles over the bins of a spectrum, as librosa's `filters.mel` makes them.
struct MelFilterBank: Sendable {
    /// The non-zero weights of one band: they touch bins `first ..< first + weights.count`.
    struct Band: Sendable {
        var first: Int
        var weights: [Double]
    }

    let bands: [Band]

    init(bandCount: Int, binCount: Int, binHz: Double, lowHz: Double, highHz: Double) {
        let low = Self.mel(lowHz)
        let high = Self.mel(highHz)
        let edges = (0..<bandCount + 2).map { i in
            Self.hertz(low + (high - low) * Double(i) / Double(bandCount + 1))
        }
        bands = (0..<bandCount).map { band in
            let (left, centre, right) = (edges[band], edges[band + 1], edges[band + 2])
            let norm = 2 / (right - left)
            var first = 0
            var weights: [Double] = []
            for bin in 0..<binCount {
                let hz = Double(bin) * binHz
                let weight = max(0, min((hz - left) / (centre - left), (right - hz) / (right - centre))) * norm
                guard weight > 0 else { continue }
                if weights.isEmpty { first = bin }
                weights.append(weight)
            }
            return Band(first: first, weights: weights)
        }
    }

    /// Hertz → mel on Slaney's scale: linear below 1 kHz, logarithmic above.
    static func mel(_ hz: Double) -> Double {
        hz < 1000 ? hz / (200.0 / 3) : 15 + 27 * log(hz / 1000) / log(6.4)
    }

    /// Mel → hertz on Slaney's scale.
    static func hertz(_ mel: Double) -> Double {
        mel < 15 ? mel * (200.0 / 3) : 1000 * exp(log(6.4) * (mel - 15) / 27)
    }
}
