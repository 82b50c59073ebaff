import Foundation
import Viseme

/// Where the crop lies in every frame of a clip: the head's path, smoothed, in whole pixels. As `viseme_train.avatar.shape` has it.
enum CropPath {
    /// Deviation of the Gaussian over frames, and how far a whole pixel may lie from the path before it is left.
    private static let smoothing = 1.5, hysteresis = 0.75

    /// The corners of crops of one size around some middles; nil is a frame without a face, which is bridged.
    static func corners(_ middles: [SIMD2<Double>?], size: PixelSize) -> [SIMD2<Int>] {
        let bridged = bridge(middles)
        guard !bridged.isEmpty else { return [] }
        let half = SIMD2(Double(size.width), Double(size.height)) / 2
        let path = smooth(bridged).map { $0 - half }
        // A tracker that has just found a face still moves a little.
        let start = path.prefix(12)
        var here = SIMD2(start.map(\.x).median, start.map(\.y).median).rounded(.toNearestOrEven)
        return path.map { wanted in
            for axis in 0..<2 where abs(wanted[axis] - here[axis]) > hysteresis {
                here[axis] = wanted[axis].rounded(.toNearestOrEven)
            }
            return SIMD2(Int(here.x), Int(here.y))
        }
    }

    private static func bridge(_ middles: [SIMD2<Double>?]) -> [SIMD2<Double>] {
        let known = middles.indices.filter { middles[$0] != nil }
        guard let first = known.first, let last = known.last else { return [] }
        var next = 0
        return middles.indices.map { k in
            if let here = middles[k] { return here }
            while next < known.count, known[next] < k { next += 1 }
            let (before, after) = (next > 0 ? known[next - 1] : first, next < known.count ? known[next] : last)
            guard let a = middles[before], let b = middles[after] else { return SIMD2(0, 0) }
            let share = after > before ? Double(k - before) / Double(after - before) : 0
            return a + (b - a) * share
        }
    }

    private static func smooth(_ path: [SIMD2<Double>]) -> [SIMD2<Double>] {
        let radius = Int(4 * smoothing + 0.5)
        let weights = (-radius...radius).map { exp(-0.5 * Double($0 * $0) / (smoothing * smoothing)) }
        let total = weights.reduce(0, +)
        return path.indices.map { k in
            var sum = SIMD2<Double>(0, 0)
            for (i, weight) in weights.enumerated() {
                sum += path[min(path.count - 1, max(0, k + i - radius))] * weight
            }
            return sum / total
        }
    }
}
