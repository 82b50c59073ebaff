import Viseme

/// Some pixels of a crop: what is drawn, its border, the mouth.
struct PixelRegion: Sendable, Equatable {
    let size: PixelSize
    /// (height, width).
    let isInside: [Bool]
    /// Row-major numbers of the pixels inside.
    let pixels: [Int]

    init(size: PixelSize, isInside: [Bool]) {
        precondition(isInside.count == size.count, "one flag a pixel")
        (self.size, self.isInside) = (size, isInside)
        pixels = isInside.indices.filter { isInside[$0] }
    }

    /// What an avatar draws of a crop of some size.
    init(drawnBy avatar: Avatar, in crop: PixelSize) {
        if let mask = avatar.mask {
            self.init(size: mask.size, isInside: mask.levels.map { $0 > 0 })
            return
        }
        let geometry = avatar.manifest.geometry
        let mask = geometry.mask ?? [0, 0, geometry.roi.width, geometry.roi.height]
        let (x, y) = (
            Double(crop.width) / Double(geometry.crop.width), Double(crop.height) / Double(geometry.crop.height)
        )
        func edge(_ k: Int, _ scale: Double) -> Int { Int((Double(mask[k] + geometry.border) * scale).rounded()) }
        let columns = edge(0, x)..<max(edge(0, x) + 1, edge(2, x))
        let rows = edge(1, y)..<max(edge(1, y) + 1, edge(3, y))
        self.init(
            size: crop,
            isInside: (0..<crop.count).map {
                columns.contains($0 % crop.width) && rows.contains($0 / crop.width)
            })
    }

    /// A convex outline filled, its edge included.
    init(size: PixelSize, hullOf points: [SIMD2<Double>]) {
        let hull = Self.hull(points.map { SIMD2($0.x.rounded(.toNearestOrEven), $0.y.rounded(.toNearestOrEven)) })
        self.init(
            size: size,
            isInside: (0..<size.count).map { pixel in
                let place = SIMD2(Double(pixel % size.width), Double(pixel / size.width))
                return hull.count > 2
                    && hull.indices.allSatisfy { k in
                        let (from, to) = (hull[k], hull[(k + 1) % hull.count])
                        let (side, off) = (to - from, place - from)
                        // Half a pixel beyond the edge is drawn as well.
                        return side.x * off.y - side.y * off.x >= -0.5 * max(abs(side.x), abs(side.y))
                    }
            })
    }

    /// Andrew's monotone chain.
    private static func hull(_ points: [SIMD2<Double>]) -> [SIMD2<Double>] {
        let ordered = points.sorted { ($0.x, $0.y) < ($1.x, $1.y) }
        func half(_ points: some Sequence<SIMD2<Double>>) -> [SIMD2<Double>] {
            var chain: [SIMD2<Double>] = []
            for point in points {
                while chain.count > 1 {
                    let (a, b) = (chain[chain.count - 2], chain[chain.count - 1])
                    guard (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x) <= 0 else { break }
                    chain.removeLast()
                }
                chain.append(point)
            }
            return Array(chain.dropLast())
        }
        return half(ordered) + half(ordered.reversed())
    }

    /// With `reach` pixels around it, in a square; negative: without its outer pixels.
    func grown(by reach: Int) -> PixelRegion {
        let wanted = reach > 0
        let distance = abs(reach)
        func spread(_ flags: [Bool], along isRow: Bool) -> [Bool] {
            flags.indices.map { i in
                let (x, y) = (i % size.width, i / size.width)
                for step in -distance...distance {
                    let (column, row) = isRow ? (x + step, y) : (x, y + step)
                    guard column >= 0, row >= 0, column < size.width, row < size.height else { continue }
                    if flags[row * size.width + column] == wanted { return wanted }
                }
                return !wanted
            }
        }
        return PixelRegion(size: size, isInside: spread(spread(isInside, along: true), along: false))
    }

    /// The pixels on both sides of its edge.
    var border: PixelRegion {
        let (outer, inner) = (grown(by: 1), grown(by: -1))
        return PixelRegion(size: size, isInside: zip(outer.isInside, inner.isInside).map { $0 && !$1 })
    }

    /// Mean square difference of two pictures of its size, all channels.
    func squaredError(_ one: Image, _ other: Image) -> Double {
        guard !pixels.isEmpty else { return 0 }
        var sum = 0
        for pixel in pixels {
            for c in 0..<3 {
                let difference = Int(one.bytes[3 * pixel + c]) - Int(other.bytes[3 * pixel + c])
                sum += difference * difference
            }
        }
        return Double(sum) / Double(3 * pixels.count)
    }
}
