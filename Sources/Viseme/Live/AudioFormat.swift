/// The form of the sound that a live session carries along with the mouth.
public struct AudioFormat: Sendable, Equatable {
    /// Samples a second; a multiple of 25, so that every frame has the same whole number of them.
    public let rate: Int
    /// Channels.
    public let channels: Int

    /// What the mouth hears, and every `SpeechReader` gives: 16 kHz mono. The rate of all families' front ends.
    public static let speech = AudioFormat(rate: 16_000, channels: 1)

    /// Describes a form.
    ///
    /// - Parameters:
    ///   - rate: A positive multiple of 25.
    ///   - channels: At least 1.
    public init(rate: Int, channels: Int) {
        precondition(
            rate > 0 && rate % LiveUnit.perSecond == 0 && channels > 0, "a frame has a whole number of samples")
        self.rate = rate
        self.channels = channels
    }

    /// Values in the 40 ms of one frame, all channels together.
    public var valuesPerFrame: Int { rate / LiveUnit.perSecond * channels }
}
