/// A frame to draw, with any cached inputs.
struct DrawJob: Sendable {
    /// Frame number.
    var index: Int
    /// The template frame that it shows.
    var templateIndex: Int
    /// (rows, row width).
    var featureWindow: [Float]
    /// The generator's features of the template frame, where they were kept.
    var kept: [Tensor]?
    /// The finished square, where this silence was drawn on this template frame before.
    var silentSquare: Image?
    /// Where the square is kept when it is drawn for silence, and under which number.
    var silence: SilentSquares?
    var silenceKey = 0
    /// How much of the square is drawn, in `Blend.full` parts; the rest is the template frame itself.
    var blend = Blend.full
    /// Whether it is kept.
    var isRemembered: Bool { silence != nil && silentSquare == nil }
}
