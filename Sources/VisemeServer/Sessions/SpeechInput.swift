import Foundation
import Hummingbird
import NIOCore
import Synchronization
import Viseme
import VisemeFFmpeg

/// Feeds an upload or a text into a session.
struct SpeechInput: Sendable {
    /// The response when all of it was taken.
    struct Receipt: Codable, Sendable {
        /// Seconds of speech.
        var seconds: Double
        /// Whether it was interrupted before its end.
        var isInterrupted: Bool
        /// Recoverable problems in the input, one sentence each.
        var warnings: [String]
    }

    let session: Session
    let media: FFmpeg

    // MARK: Raw samples

    /// The sample format that a request declares in its query or `Content-Type`; nil for a container.
    ///
    /// - Throws: `.usage` for an incomplete format.
    static func samples(of request: Request) throws -> RawSamples? {
        let query = request.uri.queryParameters
        var values = ["format", "rate", "channels"].reduce(into: [:]) { $0[$1] = query.get($1) }
        // RFC 2586 says big-endian, but browsers and scripts send little-endian.
        if let type = request.headers[.contentType]?.lowercased(), type.hasPrefix("audio/l16") {
            values["format"] = values["format"] ?? "s16le"
            for part in type.split(separator: ";").dropFirst() {
                let pair = part.split(separator: "=").map { $0.trimmingCharacters(in: .whitespaces) }
                guard pair.count == 2, ["rate", "channels"].contains(pair[0]) else { continue }
                values[pair[0]] = values[pair[0]] ?? pair[1]
            }
        }
        guard !values.isEmpty else { return nil }
        guard let format = values["format"].flatMap({ RawSamples.Format(rawValue: $0) }),
            let rate = values["rate"].flatMap({ Int($0) }), let channels = Int(values["channels"] ?? "1")
        else {
            throw VisemeError(
                .usage, "Raw samples need a format, s16le or f32le, and a rate",
                hint: "…/audio?format=s16le&rate=16000&channels=1, or a container such as WAV without a query")
        }
        let samples = RawSamples(format: format, rate: rate, channels: channels)
        try samples.validate()
        return samples
    }

    /// Speaks raw samples as they arrive. The utterance continues until `finish`.
    func say(_ samples: RawSamples, from body: BoundedBody) async throws -> Receipt {
        try await speaking { speech in
            let reader = try await session.sampleReader(samples, speech)
            for try await buffer in body {
                // In pieces, because a piece is converted as a whole.
                for start in stride(from: 0, to: buffer.readableBytes, by: 1 << 16) {
                    let length = min(1 << 16, buffer.readableBytes - start)
                    guard let bytes = buffer.getBytes(at: buffer.readerIndex + start, length: length) else { continue }
                    let (heard, sound) = try await reader.read(Data(bytes))
                    guard try await session.push(heard, sound: sound, &speech) else { return (true, []) }
                }
            }
            return (false, await reader.warnings)
        }
    }

    // MARK: Containers

    /// Speaks a container's sound as it arrives, as one utterance. An MP4 file with its index at its end, such as a phone's voice
    /// memo, is stored first.
    func say(containerFrom body: BoundedBody) async throws -> Receipt {
        try await speaking { speech in
            let (session, media, begun) = (session, media, speech)
            var pieces = body.makeAsyncIterator()
            var head: [ByteBuffer] = []
            var start = Data()
            while MP4Head.needsWholeFile(start) == nil, let piece = try await pieces.next() {
                head.append(piece)
                start.append(contentsOf: piece.readableBytesView.prefix(MP4Head.limit))
            }
            if MP4Head.needsWholeFile(start) == true {
                let file = FileManager.default.temporaryDirectory.appending(
                    path: "viseme-\(randomToken(bytes: 16)).m4a")
                // A file that cannot be removed is left to the system's cleaning of its temporary folder.
                defer { try? FileManager.default.removeItem(at: file) }
                let upload = try RenderUpload(to: file)
                for piece in head { try await upload.append(piece) }
                while let piece = try await pieces.next() { try await upload.append(piece) }
                _ = try await upload.finish()
                let outcome = try await Self.speak(
                    from: try await media.liveSource(at: file, sound: LoadedAvatar.sound), into: session, begun)
                speech = outcome.speech
                return (outcome.isInterrupted, outcome.warnings)
            }
            let (reading, writing) = try SpeechPipe.make()
            async let spoken = Self.speak(from: reading, into: session, media: media, begun)
            do {
                var known = head.makeIterator()
                func following() async throws -> ByteBuffer? {
                    if let piece = known.next() { return piece }
                    return try await pieces.next()
                }
                while let buffer = try await following() {
                    // The reader stopped: an interruption, or unreadable data. Its result says which.
                    guard await writing.write(buffer) else { break }
                }
            } catch {
                await writing.close()
                // The received part is spoken; the response is the upload's error.
                _ = try? await spoken
                throw error
            }
            await writing.close()
            let outcome = try await spoken
            speech = outcome.speech
            return (outcome.isInterrupted, outcome.warnings)
        }
    }

    /// Speaks a text.
    func say(
        _ text: String, voice: String?, by command: SpeechCommand
    ) async throws -> Receipt {
        try await speaking { speech in
            let (session, media, begun) = (session, media, speech)
            let taken = Mutex(0)
            let outcome = try await command.speak(text, voice: voice) {
                .seconds(Double(taken.withLock { $0 }) / 16_000)
            } _: { output in
                let outcome = try await Self.speak(from: output, into: session, media: media, begun) { samples in
                    taken.withLock { $0 = samples }
                }
                return (outcome, !outcome.isInterrupted)
            }
            speech = outcome.speech
            return (outcome.isInterrupted, outcome.warnings)
        }
    }

    // MARK: Shared

    private func speaking(
        _ body: (inout Session.Speech) async throws -> (isInterrupted: Bool, warnings: [String])
    ) async throws -> Receipt {
        var speech = try await session.beginSpeech()
        do {
            let (isInterrupted, warnings) = try await body(&speech)
            await session.endSpeech(speech)
            return Receipt(
                seconds: Double(speech.samples) / 16_000, isInterrupted: isInterrupted, warnings: warnings)
        } catch {
            await session.endSpeech(speech)
            throw error
        }
    }

    /// Reads a container from a pipe to its end and pushes it into a session.
    ///
    /// - Parameter onPush: Called with the number of samples taken so far, at 16 kHz.
    private static func speak(
        from pipe: FileHandle, into session: Session, media: FFmpeg, _ begun: Session.Speech,
        onPush: @Sendable (Int) -> Void = { _ in }
    ) async throws -> (speech: Session.Speech, isInterrupted: Bool, warnings: [String]) {
        // Ends the writer. It is closed already only if reading failed.
        defer { try? pipe.close() }
        let source = try await media.liveSource(from: pipe, sound: LoadedAvatar.sound)
        return try await speak(from: source, into: session, begun, onPush: onPush)
    }

    private static func speak(
        from source: LiveSource, into session: Session, _ begun: Session.Speech,
        onPush: @Sendable (Int) -> Void = { _ in }
    ) async throws -> (speech: Session.Speech, isInterrupted: Bool, warnings: [String]) {
        var speech = begun
        do {
            while let (samples, sound) = try await source.read() {
                guard try await session.push(samples, sound: sound, &speech) else {
                    await source.close()
                    return (speech, true, [])
                }
                onPush(speech.samples)
            }
        } catch {
            await source.close()
            throw error
        }
        let warnings = await source.warnings
        await source.close()
        try await session.finish(speech)
        return (speech, false, warnings)
    }
}
