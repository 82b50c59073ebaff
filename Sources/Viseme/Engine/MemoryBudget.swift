/// How the memory for the template is shared.
struct MemoryBudget {
    /// Decoded frames: forth and back through a group of pictures.
    let frames: Int
    /// The generator's features.
    let features: Int
    /// Squares that were drawn for silence.
    let silence: Int

    /// One half, three eighths, one eighth.
    init(_ bytes: Int) {
        frames = bytes / 2
        features = bytes / 8 * 3
        silence = bytes / 8
    }
}
