/// The form of the sound that a live session carries along with the mouth.
public struct SoundForm: Sendable, Equatable {
    /// Samples a second; a multiple of 25, so that every frame has the same whole number of them.
    public let rate: Int
    /// Channels.
    public let channels: Int

    /// What the mouth hears: 16 kHz mono.
    public static let speech = SoundForm(rate: 16_000, channels: 1)

    /// Describes a form.
    ///
    /// - Parameters:
    ///   - rate: A positive multiple of 25.
    ///   - channels: At least 1.
    public init(rate: Int, channels: Int) {
        precondition(rate > 0 && rate % 25 == 0 && channels > 0, "a frame has a whole number of samples")
        self.rate = rate
        self.channels = channels
    }

    /// Values in the 40 ms of one frame, all channels together.
    public var valuesPerFrame: Int { rate / 25 * channels }
}

/// What a live session gives: 40 ms, one frame and the sound that belongs to it.
public struct LiveUnit: Sendable {
    /// Its number: it is shown from index/25 s of the session on. Without gaps.
    public let index: Int
    /// The picture; nil where the one before stays: it could not be drawn in time, or speech that had begun has run out.
    public let frame: Frame?
    /// The picture's number where the template is shown as it is and the session leaves that picture to its caller
    /// (`Settings.drawsTemplate`): `Engine.templateFrame(at:)` draws it.
    public let templatePosition: Int?
    /// Interleaved, −1…1, in the session's form: always `valuesPerFrame` values. Zeros while nobody speaks.
    public let sound: [Float]
    /// Whether this is a frame of speech; otherwise the avatar is idle, or waits for the rest of a sentence.
    public let isSpeech: Bool
}

/// What a live session has done so far.
public struct LiveReport: Sendable, Codable {
    /// Units given, 40 ms each.
    public var units = 0
    /// Units of speech among them.
    public var speech = 0
    /// Units without a picture, because none could be drawn in time; their sound was given.
    public var dropped = 0
    /// Units that show a picture which was drawn too late for its own unit, by at most 80 ms where it speaks.
    public var late = 0
    /// Units for which the rest of a sentence had not come: silence, and the picture before stays.
    public var starved = 0
    /// Calls of `interrupt()`.
    public var interrupts = 0
    /// Milliseconds, as median and 95th percentile of the last 4096: "firstFrame" from the arrival of the audio that the first
    /// frame of a sentence needs to that frame; "draw" of speech, from planned to drawn; "interrupt" from the call to the first
    /// picture after it.
    public var latency: [String: RenderReport.StageSummary] = [:]
}
