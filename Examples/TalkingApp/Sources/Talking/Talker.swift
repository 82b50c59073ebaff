import Foundation
import Viseme
import VisemeModels

/// An avatar that speaks whatever it is given, and what is to be seen and heard of it.
///
/// One session lives as long as the talker: between words the avatar is idle.
public actor Talker {
    /// 40 ms.
    public struct Moment: Sendable {
        /// The picture; nil where the one before stays.
        public let picture: Image?
        /// Mono samples in the form that was asked for.
        public let sound: [Float]
        /// Whether something is said.
        public let isSpeaking: Bool
    }

    /// The size of the pictures.
    public nonisolated let size: PixelSize
    /// What is to be shown and played, in real time; for one reader.
    public nonisolated let moments: AsyncThrowingStream<Moment, any Error>

    private let session: LiveSession
    private let media: any MediaBackend
    private let drawing: Task<Void, Never>
    private var speaking: Task<Void, any Error>?

    /// Loads an avatar and lets it be idle. It takes a second; nothing of it runs on the caller's actor.
    ///
    /// - Parameters:
    ///   - pack: The avatar pack's folder.
    ///   - backend: What runs its models.
    ///   - media: Reads its template and the files that it speaks.
    /// - Throws: `VisemeError`, with what to do about it.
    public init(pack: URL, backend: any InferenceBackend, media: any MediaBackend) async throws {
        let avatar = try Avatar(contentsOf: pack)
        // The template goes round and round: what is kept of it saves time.
        let engine = try await Engine(avatar, backend: backend, media: media, judge: WeightJudge(), memory: 100_000_000)
        let session = try await LiveSession(engine)
        size = PixelSize(width: avatar.manifest.width, height: avatar.manifest.height)
        self.session = session
        self.media = media
        let (stream, continuation) = AsyncThrowingStream<Moment, any Error>.makeStream()
        moments = stream
        drawing = Task {
            do {
                for try await unit in session.units {
                    let picture = try unit.frame?.image
                    continuation.yield(Moment(picture: picture, sound: unit.sound, isSpeaking: unit.isSpeech))
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
    }

    /// Speaks the sound of a file; what is being said is interrupted.
    ///
    /// - Throws: `VisemeError` when the file has no sound.
    public func speak(_ file: URL) async throws {
        await stop()
        let speech = try await media.speech(at: file)
        speaking = Task { [session] in
            while let samples = try await speech.read() { try await session.push(samples) }
            await session.finish()
        }
    }

    /// Speaks samples as they arrive: mono, 16 kHz, −1…1. A pause of 0.4 s ends the sentence.
    public func hear(_ samples: [Float]) async throws { try await session.push(samples) }

    /// Closes the mouth at once.
    public func stop() async {
        speaking?.cancel()
        speaking = nil
        await session.interrupt()
    }

    /// Ends the moments.
    public func end() async {
        await stop()
        await session.end()
    }
}
