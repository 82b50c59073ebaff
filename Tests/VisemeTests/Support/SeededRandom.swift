/// SplitMix64: the same numbers everywhere for one seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0x9e37_79b9_7f4a_7c15 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Noise in −0.5…0.5 with a loud and a silent stretch: enough to tell any two windows apart.
func noise(_ count: Int, seed: Int) -> [Float] {
    var random = SeededRandom(seed)
    return (0..<count).map { i in
        i / 4000 % 3 == 2 ? 0 : Float.random(in: -0.5...0.5, using: &random) * (i / 2000 % 2 == 0 ? 1 : 0.05)
    }
}
