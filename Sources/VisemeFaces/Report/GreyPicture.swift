import Viseme

/// A picture in grey, with OpenCV's weights: what figures about sharpness, edges and structure are taken from.
struct GreyPicture: Sendable {
    let size: PixelSize
    /// (height, width), 0…255.
    var values: [Float]

    init(size: PixelSize, values: [Float]) { (self.size, self.values) = (size, values) }

    init(_ image: Image) {
        size = image.size
        values = [Float](unsafeUninitializedCapacity: image.size.count) { target, count in
            image.bytes.withUnsafeBufferPointer { bytes in
                for i in 0..<image.size.count {
                    let (blue, green, red) = (Int(bytes[3 * i]), Int(bytes[3 * i + 1]), Int(bytes[3 * i + 2]))
                    target[i] = Float((blue * 3735 + green * 19235 + red * 9798 + 16384) >> 15)
                }
            }
            count = image.size.count
        }
    }

    /// A pixel; outside of the picture its mirror image, the edge not repeated.
    private func mirrored(_ x: Int, _ y: Int) -> Float {
        values[Self.mirror(y, size.height) * size.width + Self.mirror(x, size.width)]
    }

    private static func mirror(_ i: Int, _ count: Int) -> Int {
        guard count > 1 else { return 0 }
        let inside = i < 0 ? -i : i
        return inside < count ? inside : max(0, 2 * count - 2 - inside)
    }

    /// High frequencies where a region is: mean square of the Laplacian.
    func texture(_ region: PixelRegion) -> Double {
        mean(region) { x, y in
            let around = mirrored(x - 1, y) + mirrored(x + 1, y) + mirrored(x, y - 1) + mirrored(x, y + 1)
            let value = Double(around - 4 * mirrored(x, y))
            return value * value
        }
    }

    /// Mean step between the neighbours of a region's pixels, in grey levels.
    func step(_ region: PixelRegion) -> Double {
        mean(region) { x, y in
            Double(
                abs(mirrored(x + 1, y) - mirrored(x - 1, y)) + abs(mirrored(x, y + 1) - mirrored(x, y - 1)))
        }
    }

    /// Mean structural similarity where a region is, with the usual Gaussian window of 11 pixels.
    func similarity(to other: GreyPicture, _ region: PixelRegion) -> Double {
        let (a, b) = (smoothed(), other.smoothed())
        let (aa, bb) = (product(self).smoothed(), other.product(other).smoothed())
        let ab = product(other).smoothed()
        return mean(region) { x, y in
            let i = y * size.width + x
            let (ma, mb) = (Double(a.values[i]), Double(b.values[i]))
            let (va, vb) = (Double(aa.values[i]) - ma * ma, Double(bb.values[i]) - mb * mb)
            let both = Double(ab.values[i]) - ma * mb
            return (2 * ma * mb + 6.5025) * (2 * both + 58.5225)
                / ((ma * ma + mb * mb + 6.5025) * (va + vb + 58.5225))
        }
    }

    /// What changes from picture to picture and back: the mean second difference of three pictures, in grey levels.
    static func flicker(_ three: (GreyPicture, GreyPicture, GreyPicture), _ region: PixelRegion) -> Double {
        let width = three.0.size.width
        return three.0.mean(region) { x, y in
            let i = y * width + x
            return Double(abs(three.0.values[i] - 2 * three.1.values[i] + three.2.values[i]))
        }
    }

    private func mean(_ region: PixelRegion, _ value: (Int, Int) -> Double) -> Double {
        guard !region.pixels.isEmpty else { return 0 }
        var sum = 0.0
        for pixel in region.pixels { sum += value(pixel % size.width, pixel / size.width) }
        return sum / Double(region.pixels.count)
    }

    private func product(_ other: GreyPicture) -> GreyPicture {
        GreyPicture(size: size, values: zip(values, other.values).map { $0 * $1 })
    }

    /// A Gaussian of deviation 1.5 over 11 pixels, as `cv2.getGaussianKernel(11, 1.5)`.
    private static let kernel: [Float] = [
        0.001_028_38, 0.007_598_76, 0.036_000_77, 0.109_360_69, 0.213_005_54, 0.266_011_71, 0.213_005_54, 0.109_360_69,
        0.036_000_77, 0.007_598_76, 0.001_028_38,
    ]

    private func smoothed() -> GreyPicture {
        let (width, height, reach) = (size.width, size.height, Self.kernel.count / 2)
        let columns = (-reach..<width + reach).map { Self.mirror($0, width) }
        var across = values
        var both = values
        for y in 0..<height {
            for x in 0..<width {
                var sum: Float = 0
                for (k, weight) in Self.kernel.enumerated() { sum += values[y * width + columns[x + k]] * weight }
                across[y * width + x] = sum
            }
        }
        for y in 0..<height {
            let rows = (0..<Self.kernel.count).map { Self.mirror(y + $0 - reach, height) * width }
            for x in 0..<width {
                var sum: Float = 0
                for (k, weight) in Self.kernel.enumerated() { sum += across[rows[k] + x] * weight }
                both[y * width + x] = sum
            }
        }
        return GreyPicture(size: size, values: both)
    }
}
