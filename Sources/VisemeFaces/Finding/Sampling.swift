import Viseme

/// An affine map of pixels: x′ = a·x + b·y + u, y′ = c·x + d·y + v.
struct AffineMap: Sendable, Equatable {
    var a, b, u, c, d, v: Double

    /// Where a point goes.
    func callAsFunction(_ point: SIMD2<Double>) -> SIMD2<Double> {
        SIMD2(a * point.x + b * point.y + u, c * point.x + d * point.y + v)
    }

    /// The way back; the map must not be flat.
    var inverse: AffineMap {
        let scale = 1 / (a * d - b * c)
        let (p, q, r, s) = (d * scale, -b * scale, -c * scale, a * scale)
        return AffineMap(a: p, b: q, u: -p * u - q * v, c: r, d: s, v: -r * u - s * v)
    }
}

/// Pictures of another size or place, with the arithmetic of OpenCV 5: `warpAffine` and `resize` as the training calls them.
enum Sampling {
    /// What lies outside of a picture.
    enum Outside { case black, repeated }

    /// Bilinear samples: pixel (x, y) of the result is that of the picture at `map(x, y)`.
    static func warp(_ image: Image, size: PixelSize, by map: AffineMap, outside: Outside) -> Image {
        let (width, height) = (image.width, image.height)
        let bytes = [UInt8](unsafeUninitializedCapacity: size.count * 3) { target, count in
            image.bytes.withUnsafeBufferPointer { source in
                /// A pixel's place; nil where it is black.
                func offset(_ x: Int, _ y: Int) -> Int? {
                    if x >= 0, y >= 0, x < width, y < height { return (y * width + x) * 3 }
                    guard outside == .repeated else { return nil }
                    return (min(height - 1, max(0, y)) * width + min(width - 1, max(0, x))) * 3
                }
                for y in 0..<size.height {
                    for x in 0..<size.width {
                        let place = map(SIMD2(Double(x), Double(y)))
                        let (left, top) = (place.x.rounded(.down), place.y.rounded(.down))
                        let (s, t) = (Float(place.x - left), Float(place.y - top))
                        // Far outside: clamped, so that no number is too large for an Int.
                        let column = Int(min(1e6, max(-1e6, left)))
                        let row = Int(min(1e6, max(-1e6, top)))
                        let corners = (
                            offset(column, row), offset(column + 1, row), offset(column, row + 1),
                            offset(column + 1, row + 1)
                        )
                        let to = (y * size.width + x) * 3
                        for channel in 0..<3 {
                            func level(_ offset: Int?) -> Float { offset.map { Float(source[$0 + channel]) } ?? 0 }
                            let (one, two) = (level(corners.0), level(corners.1))
                            let (three, four) = (level(corners.2), level(corners.3))
                            let (upper, lower) = (one + (two - one) * s, three + (four - three) * s)
                            target[to + channel] = UInt8((upper + (lower - upper) * t).rounded(.toNearestOrEven))
                        }
                    }
                }
            }
            count = size.count * 3
        }
        return Image(width: size.width, height: size.height, bytes: bytes)
    }

    /// Means of the areas that pixels of a smaller picture cover; a larger picture is sampled bilinearly.
    static func shrink(_ image: Image, to size: PixelSize) -> Image {
        guard size != image.size else { return image }
        let (scaleX, scaleY) = (
            Double(image.width) / Double(size.width), Double(image.height) / Double(size.height)
        )
        guard scaleX >= 1, scaleY >= 1 else {
            let map = AffineMap(a: scaleX, b: 0, u: 0.5 * scaleX - 0.5, c: 0, d: scaleY, v: 0.5 * scaleY - 0.5)
            return warp(image, size: size, by: map, outside: .repeated)
        }
        let columns = shares(image.width, size.width)
        let rows = shares(image.height, size.height)
        // Of four pixels OpenCV rounds a half up, of others to even.
        let isQuarter = scaleX == 2 && scaleY == 2
        let length = size.width * 3
        var line = [Float](repeating: 0, count: length)
        let bytes = [UInt8](unsafeUninitializedCapacity: size.count * 3) { target, count in
            image.bytes.withUnsafeBufferPointer { source in
                for y in 0..<size.height {
                    for i in 0..<length { line[i] = 0 }
                    for (row, rowShare) in rows[y] {
                        let base = row * image.width * 3
                        for x in 0..<size.width {
                            var sums: (Float, Float, Float) = (0, 0, 0)
                            for (column, share) in columns[x] {
                                let from = base + column * 3
                                sums.0 += Float(source[from]) * share
                                sums.1 += Float(source[from + 1]) * share
                                sums.2 += Float(source[from + 2]) * share
                            }
                            line[x * 3] += sums.0 * rowShare
                            line[x * 3 + 1] += sums.1 * rowShare
                            line[x * 3 + 2] += sums.2 * rowShare
                        }
                    }
                    for i in 0..<length {
                        let level = line[i].rounded(isQuarter ? .toNearestOrAwayFromZero : .toNearestOrEven)
                        target[y * length + i] = UInt8(min(255, max(0, level)))
                    }
                }
            }
            count = size.count * 3
        }
        return Image(width: size.width, height: size.height, bytes: bytes)
    }

    /// What each of `target` cells covers of `source` cells: (cell, share), as `computeResizeAreaTab` has it.
    private static func shares(_ source: Int, _ target: Int) -> [[(Int, Float)]] {
        let scale = Double(source) / Double(target)
        return (0..<target).map { cell in
            let begin = Double(cell) * scale
            let end = begin + scale
            let width = min(scale, Double(source) - begin)
            let last = min(Int(end.rounded(.down)), source - 1)
            let first = min(Int(begin.rounded(.up)), last)
            var found: [(Int, Float)] = []
            if Double(first) - begin > 1e-3 { found.append((first - 1, Float((Double(first) - begin) / width))) }
            for whole in first..<last { found.append((whole, Float(1 / width))) }
            if end - Double(last) > 1e-3 {
                found.append((last, Float(min(min(end - Double(last), 1), width) / width)))
            }
            return found
        }
    }
}
