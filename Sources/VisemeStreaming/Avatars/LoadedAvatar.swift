package import Viseme
package import VisemeFFmpeg

/// A loaded avatar, with its encoded template.
package final class LoadedAvatar: Sendable {
    /// The audio format of all live sessions.
    package static let sound = AudioFormat(rate: 48_000, channels: 1)

    /// Its id.
    package let id: String
    /// Its models.
    package let engine: Engine
    /// The stream parameters of every session, for containers.
    package let format: LiveFormat
    /// Its encoded template; nil when an idle session cannot show the template unchanged.
    let idleLoop: IdleLoop?
    private let crf: Int
    private let filling: Task<Void, Never>?

    /// Starts encoding the template in the background.
    package init(id: String, engine: Engine, crf: Int) throws {
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
        // A failure is the template's: every session that needs the picture reports it.
        filling = Task { @concurrent in
            try? await loop.fill(from: engine, by: encoders)
            await engine.forgetTemplateFrames()
        }
    }

    deinit { filling?.cancel() }

    /// Waits until the whole template is encoded.
    package func isFilled() async { await filling?.value }

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
