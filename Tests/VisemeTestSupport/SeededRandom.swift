/// SplitMix64: the same numbers everywhere for one seed.
public struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    /// Begins a sequence.
    public init(_ seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0x9e37_79b9_7f4a_7c15 }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Even numbers of a range.
public func randomFloats(_ count: Int, in range: ClosedRange<Float>, seed: some BinaryInteger) -> [Float] {
    var random = SeededRandom(Int(truncatingIfNeeded: seed))
    return (0..<count).map { _ in
        let unit = Float(random.next() >> 40) / Float(1 << 24)
        return range.lowerBound + unit * (range.upperBound - range.lowerBound)
    }
}
