/// The stages that are timed.
public enum Stage: String, Sendable, CaseIterable {
    /// Fetching and decoding the template frame, and the pixels around the square.
    case template
    /// The crop square, resized.
    case crop
    /// Roi, masked roi, tensor, and what the generator computes from them alone.
    case prepare
    /// The generator's audio-dependent part; the whole generator where it runs as a whole.
    case generate
    /// Paste back.
    case paste
}
