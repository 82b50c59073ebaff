/// One unit of a live session: 40 ms, one frame and its sound.
public struct LiveUnit: Sendable {
    /// Units in a second. Players, encoders and sound forms are cut to it, so it is one for all families.
    public static let perSecond = 25
    /// How long a unit is shown.
    public static let duration = Duration.milliseconds(1000 / perSecond)

    /// Its number: it is shown from index/25 s of the session on. Without gaps.
    public let index: Int
    /// The picture; nil where the one before stays: it could not be drawn in time, or speech that had begun has run out.
    public let frame: Frame?
    /// The picture's number where the template is shown as it is and the session leaves that picture to its caller
    /// (`Settings.drawsTemplate`): `Engine.templateFrame(at:)` draws it.
    public let templatePosition: Int?
    /// Interleaved, −1…1, in the session's form: always `valuesPerFrame` values. Zeros while there is no speech.
    public let sound: [Float]
    /// What the mouth hears, (rows, row width) of the avatar's family; nil while it rests, and where the picture before stays because
    /// speech has run out. `MouthReader.shape(hearing:)` tells the mouth's shape.
    public let featureWindow: [Float]?
    /// What is spoken; nil while the avatar is idle, or waits for the rest of a sentence.
    public internal(set) var utterance: LiveUtterance?
    /// Utterances that ended before this unit, and not with a unit of their own: interrupted ones, and those that were finished
    /// after everything had been given.
    public internal(set) var ends: [LiveUtterance.End] = []
    /// The number of interruptions before this unit.
    public internal(set) var epoch = 0
    /// Whether this is a frame of speech.
    public var isSpeech: Bool { utterance != nil }
}
