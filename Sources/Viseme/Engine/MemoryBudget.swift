/// How the memory for the template is shared.
struct MemoryBudget {
    /// Decoded frames: forth and back through a group of pictures.
    let frames: Int
    /// The generator's features.
    let features: Int
    /// Squares that were drawn for silence.
    let silence: Int

    /// Three eighths, one half, one eighth.
    init(_ bytes: Int) {
        frames = bytes / 8 * 3
        features = bytes / 2
        silence = bytes / 8
    }
}
