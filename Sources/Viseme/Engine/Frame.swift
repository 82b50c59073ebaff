/// One frame of the talking head.
public struct Frame: Sendable {
    /// Frame number; it belongs to audio [index/25, (index+1)/25) s.
    public let index: Int
    /// The whole picture: the template frame with the square on it, or alone while there is no speech.
    public let picture: any Picture
    /// The crop that the mouth was redrawn in: a square, or of the family's constant size.
    public let square: PixelArea
    /// How much of the generator ran for it.
    public enum Origin: String, Sendable, Codable, CaseIterable {
        /// All of it.
        case generated
        /// The audio-dependent part; the rest was kept from an earlier frame.
        case keptFeatures
        /// None of it: the same silence had been drawn on this template frame before.
        case silence
        /// None of it: there is no speech, and the template frame is shown as it is.
        case template
    }

    /// How much of the generator ran.
    public let origin: Origin
    /// How long its stages took, waiting included.
    public let durations: [Stage: Duration]

    /// All pixels of the picture, B G R. They are converted at each call: a few milliseconds for a large frame.
    public var image: Image { get throws { try picture.image() } }
}
