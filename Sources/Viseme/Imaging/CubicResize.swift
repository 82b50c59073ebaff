/// Bicubic resampling of 8-bit images, equal to OpenCV's `INTER_CUBIC` within one grey level.
///
/// a = −0.75, half-pixel centres, no antialiasing, borders replicated, weights in 1/2048 as OpenCV's 8-bit path rounds them.
struct CubicResize: Sendable {
    private static let bits = 11

    /// Four taps an output position: source indices (clamped) and weights that sum to 2048.
    private struct Taps {
        var index: [Int32]
        var weight: [Int32]

        init(from source: Int, to target: Int) {
            index = []
            weight = []
            let scale = Double(source) / Double(target)
            for position in 0..<target {
                let centre = Float((Double(position) + 0.5) * scale - 0.5)
                let base = Int(centre.rounded(.down))
                for (tap, value) in Self.cubic(centre - Float(base)).enumerated() {
                    index.append(Int32(min(source - 1, max(0, base - 1 + tap))))
                    weight.append(Int32((value * 2048).rounded(.toNearestOrEven)))
                }
            }
        }

        /// Keys' cubic kernel at the four neighbours of a point `x` in 0..<1 after the second one.
        static func cubic(_ x: Float) -> [Float] {
            let a: Float = -0.75
            let w0 = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
            let w1 = ((a + 2) * x - (a + 3)) * x * x + 1
            let w2 = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
            return [w0, w1, w2, 1 - w0 - w1 - w2]
        }
    }

    /// Resizes the rectangle of `image` at (x, y), `width` × `height`, to `targetWidth` × `targetHeight`.
    static func resize(
        _ image: Image, x: Int = 0, y: Int = 0, width: Int, height: Int, targetWidth: Int, targetHeight: Int
    ) -> Image {
        precondition(x >= 0 && y >= 0 && x + width <= image.width && y + height <= image.height)
        let across = Taps(from: width, to: targetWidth)
        let down = Taps(from: height, to: targetHeight)
        let rowLength = targetWidth * 3
        var result = [UInt8](repeating: 0, count: targetHeight * rowLength)
        // (height, targetWidth, 3), scaled by 2048
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: height * rowLength) { rows in
            image.bytes.withUnsafeBufferPointer { source in
                across.index.withUnsafeBufferPointer { index in
                    across.weight.withUnsafeBufferPointer { weight in
                        for row in 0..<height {
                            let from = ((y + row) * image.width + x) * 3
                            let to = row * rowLength
                            for column in 0..<targetWidth {
                                let t = column * 4
                                let (p0, p1) = (from + Int(index[t]) * 3, from + Int(index[t + 1]) * 3)
                                let (p2, p3) = (from + Int(index[t + 2]) * 3, from + Int(index[t + 3]) * 3)
                                let (w0, w1, w2, w3) = (weight[t], weight[t + 1], weight[t + 2], weight[t + 3])
                                for c in 0..<3 {
                                    rows[to + column * 3 + c] =
                                        Int32(source[p0 + c]) &* w0 &+ Int32(source[p1 + c]) &* w1
                                        &+ Int32(source[p2 + c]) &* w2 &+ Int32(source[p3 + c]) &* w3
                                }
                            }
                        }
                    }
                }
            }
            result.withUnsafeMutableBufferPointer { result in
                let half = Int32(1) << Int32(2 * bits - 1)
                for row in 0..<targetHeight {
                    let t = row * 4
                    let (r0, r1) = (Int(down.index[t]) * rowLength, Int(down.index[t + 1]) * rowLength)
                    let (r2, r3) = (Int(down.index[t + 2]) * rowLength, Int(down.index[t + 3]) * rowLength)
                    let (w0, w1, w2, w3) = (down.weight[t], down.weight[t + 1], down.weight[t + 2], down.weight[t + 3])
                    let to = row * rowLength
                    for i in 0..<rowLength {
                        let sum = rows[r0 + i] &* w0 &+ rows[r1 + i] &* w1 &+ rows[r2 + i] &* w2 &+ rows[r3 + i] &* w3
                        result[to + i] = UInt8(truncatingIfNeeded: min(255, max(0, (sum &+ half) >> Int32(2 * bits))))
                    }
                }
            }
        }
        return Image(width: targetWidth, height: targetHeight, bytes: result)
    }
}
