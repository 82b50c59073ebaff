import VisemeTestSupport

/// Noise in −0.5…0.5 with a loud and a silent stretch: enough to tell any two windows apart.
func noise(_ count: Int, seed: Int) -> [Float] {
    var random = SeededRandom(seed)
    return (0..<count).map { i in
        i / 4000 % 3 == 2 ? 0 : Float.random(in: -0.5...0.5, using: &random) * (i / 2000 % 2 == 0 ? 1 : 0.05)
    }
}
