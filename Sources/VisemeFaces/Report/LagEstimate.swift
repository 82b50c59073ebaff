/// By how many frames one series is earlier than another, with the interval that the material allows.
struct LagEstimate {
    /// Shifts that are tried, and those that the whole number is taken from, as in the training.
    private static let reach = 8, near = 3
    /// Frames of a block, and how often blocks are drawn anew.
    private static let block = 12, draws = 1000

    /// Sums over the frames of a block, for one shift.
    private struct Sums {
        var count = 0.0
        var a = 0.0, b = 0.0, aa = 0.0, bb = 0.0, ab = 0.0

        mutating func add(_ x: Double, _ y: Double) {
            count += 1
            a += x
            b += y
            aa += x * x
            bb += y * y
            ab += x * y
        }

        static func += (left: inout Sums, right: Sums) {
            left.count += right.count
            left.a += right.a
            left.b += right.b
            left.aa += right.aa
            left.bb += right.bb
            left.ab += right.ab
        }

        var r: Double? {
            guard count > 2 else { return nil }
            let (va, vb) = (aa - a * a / count, bb - b * b / count)
            return va > 1e-15 && vb > 1e-15 ? (ab - a * b / count) / (va * vb).squareRoot() : nil
        }
    }

    let lag: AvatarReport.Lag

    /// Compares two series of the same frames.
    init(_ numbers: [Int], drawn: [Double], filmed: [Double], seed: UInt64 = 1) {
        let place = Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($1, $0) })
        let shifts = Array(-Self.reach...Self.reach)
        let count = (numbers.count + Self.block - 1) / Self.block
        var blocks = [[Sums]](repeating: [Sums](repeating: Sums(), count: shifts.count), count: count)
        for (k, number) in numbers.enumerated() {
            for (i, shift) in shifts.enumerated() {
                guard let other = place[number + shift] else { continue }
                blocks[k / Self.block][i].add(drawn[k], filmed[other])
            }
        }
        let curve = Self.curve(blocks)
        let best = Self.peak(curve).map { shifts[0].double + $0 } ?? 0
        var random = Draws(state: seed)
        var found: [Double] = []
        for _ in 0..<(count > 1 ? Self.draws : 0) {
            let drawn = (0..<count).map { _ in blocks[random.below(count)] }
            if let peak = Self.peak(Self.curve(drawn)) { found.append(shifts[0].double + peak) }
        }
        let close = (-Self.near...Self.near).max { (curve[$0 + Self.reach] ?? -2) < (curve[$1 + Self.reach] ?? -2) }
        lag = AvatarReport.Lag(
            frames: close ?? 0, best: best, low: found.isEmpty ? -Self.reach.double : found.percentile(2.5),
            high: found.isEmpty ? Self.reach.double : found.percentile(97.5), curve: curve)
    }

    private static func curve(_ blocks: [[Sums]]) -> [Double?] {
        (0...2 * reach).map { shift in
            var sum = Sums()
            for block in blocks { sum += block[shift] }
            return sum.r
        }
    }

    /// Where a curve is highest, between its points by a parabola; nil of one without values.
    private static func peak(_ curve: [Double?]) -> Double? {
        let known = curve.indices.filter { curve[$0] != nil }
        guard let top = known.max(by: { (curve[$0] ?? -2) < (curve[$1] ?? -2) }) else { return nil }
        guard top > 0, top + 1 < curve.count, let left = curve[top - 1], let right = curve[top + 1],
            let here = curve[top]
        else { return top.double }
        let bend = left - 2 * here + right
        return bend < 0 ? top.double + min(0.5, max(-0.5, 0.5 * (left - right) / bend)) : top.double
    }
}

/// SplitMix64: the same numbers every time.
private struct Draws {
    var state: UInt64

    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(limit))
    }
}

extension Int {
    fileprivate var double: Double { Double(self) }
}
