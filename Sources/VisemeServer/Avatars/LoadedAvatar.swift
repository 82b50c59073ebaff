import Viseme
import VisemeFFmpeg

/// An avatar whose models are in memory, with its encoded template.
final class LoadedAvatar: Sendable {
    /// The sound of all live sessions.
    static let sound = SoundForm(rate: 48_000, channels: 1)

    /// Its id.
    let id: String
    /// Its models.
    let engine: Engine
    /// What containers must know of every session's streams.
    let format: LiveFormat
    /// Its template, encoded; nil where the template cannot be shown as it is while nobody speaks.
    let idleLoop: IdleLoop?
    private let crf: Int
    private let filling: Task<Void, Never>?

    /// Begins to encode the template in the background.
    init(id: String, engine: Engine, crf: Int) throws {
        let manifest = engine.avatar.manifest
        let encoder = try LiveEncoder(width: manifest.width, height: manifest.height, sound: Self.sound, crf: crf)
        self.id = id
        self.engine = engine
        self.crf = crf
        format = encoder.format
        guard engine.avatar.isIdleThroughout else {
            (idleLoop, filling) = (nil, nil)
            return
        }
        let loop = IdleLoop(frames: manifest.frames)
        idleLoop = loop
        let encoders =
            try [encoder]
            + (1..<engine.parallelism.width).map { _ in
                try LiveEncoder(width: manifest.width, height: manifest.height, sound: Self.sound, crf: crf)
            }
        // A failure is the template's, and shows in every session as soon as it wants that picture.
        filling = Task { @concurrent in try? await loop.fill(from: engine, by: encoders) }
    }

    deinit { filling?.cancel() }

    /// Waits until the whole template is encoded.
    func isFilled() async { await filling?.value }

    /// An encoder for a session.
    func makeEncoder() throws -> LiveEncoder {
        let manifest = engine.avatar.manifest
        let encoder = try LiveEncoder(width: manifest.width, height: manifest.height, sound: Self.sound, crf: crf)
        guard encoder.format.accepts(format) else {
            throw VisemeError(.internal, "Two encoders of one size have different parameter sets")
        }
        return encoder
    }
}
