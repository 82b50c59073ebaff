/// How the memory for the template is shared.
struct MemoryBudget {
    /// Less than this holds the features of a part of the loop only, which saves no time that can be measured.
    private static let enoughForFeatures = 100_000_000

    /// Decoded frames: forth and back through a group of pictures.
    let frames: Int
    /// The generator's features; always some, so that a generator is cut, which runs in less memory than a whole one.
    let features: Int
    /// Squares that were drawn for silence.
    let silence: Int

    /// One half, three eighths (of a small budget a sixty-fourth), one eighth.
    init(_ bytes: Int) {
        frames = bytes / 2
        features = bytes < Self.enoughForFeatures ? bytes / 64 : bytes / 8 * 3
        silence = bytes / 8
    }
}
