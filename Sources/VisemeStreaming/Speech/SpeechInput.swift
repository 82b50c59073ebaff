package import Foundation
import Synchronization
import Viseme
package import VisemeFFmpeg

/// Feeds an upload or a text into a conversation.
package struct SpeechInput: Sendable {
    /// The response when all of it was taken.
    package struct Receipt: Codable, Sendable {
        /// Seconds of speech.
        package var seconds: Double
        /// Whether it was interrupted before its end.
        package var isInterrupted: Bool
        /// Recoverable problems in the input, one sentence each.
        package var warnings: [String]
    }

    private let conversation: Conversation
    private let media: FFmpeg

    /// - Parameter media: Decodes containers.
    package init(into conversation: Conversation, media: FFmpeg) {
        (self.conversation, self.media) = (conversation, media)
    }

    /// Speaks raw samples as they arrive. The utterance continues until `finish`.
    ///
    /// - Parameters:
    ///   - utterance: The utterance's name; nil for none.
    ///   - isWhole: Whether the utterance ends with the body.
    package func say(
        _ samples: RawSamples, from body: some AsyncSequence<Data, any Error> & Sendable, utterance: String? = nil,
        isWhole: Bool = false
    ) async throws -> Receipt {
        try await speaking(utterance) { speech in
            let reader = try await conversation.sampleReader(samples, speech)
            for try await var piece in body {
                // In parts, because a part is converted as a whole.
                while !piece.isEmpty {
                    let (heard, sound) = try await reader.read(Data(piece.prefix(1 << 16)))
                    guard try await conversation.push(heard, sound: sound, &speech) else { return (true, []) }
                    piece = piece.dropFirst(1 << 16)
                }
            }
            let warnings = await reader.warnings
            if isWhole { try await conversation.finish(speech) }
            return (false, warnings)
        }
    }

    // MARK: Containers

    /// Speaks a container's sound as it arrives, as one utterance. An MP4 file with its index at its end, such as a phone's voice
    /// memo, is stored first.
    package func say(
        containerFrom body: some AsyncSequence<Data, any Error> & Sendable, utterance: String? = nil
    ) async throws -> Receipt {
        try await speaking(utterance) { speech in
            let (conversation, media, begun) = (conversation, media, speech)
            var pieces = body.makeAsyncIterator()
            var head: [Data] = []
            var start = Data()
            while MP4Head.needsWholeFile(start) == nil, let piece = try await pieces.next(isolation: #isolation) {
                head.append(piece)
                start += piece.prefix(MP4Head.limit)
            }
            if MP4Head.needsWholeFile(start) == true {
                let file = FileManager.default.temporaryDirectory.appending(
                    path: "viseme-\(UUID().uuidString).m4a")
                // A file that cannot be removed is left to the system's cleaning of its temporary folder.
                defer { try? FileManager.default.removeItem(at: file) }
                let upload = try UploadFile(file)
                for piece in head { try await upload.append(piece) }
                while let piece = try await pieces.next(isolation: #isolation) { try await upload.append(piece) }
                try await upload.close()
                let outcome = try await Self.speak(
                    from: try await media.liveSource(at: file, sound: LoadedAvatar.sound), into: conversation, begun)
                speech = outcome.speech
                return (outcome.isInterrupted, outcome.warnings)
            }
            let (reading, writing) = try SpeechPipe.make()
            async let spoken = Self.speak(from: reading, into: conversation, media: media, begun)
            do {
                var known = head.makeIterator()
                func following() async throws -> Data? {
                    if let piece = known.next() { return piece }
                    return try await pieces.next(isolation: #isolation)
                }
                while let piece = try await following() {
                    // The reader stopped: an interruption, or unreadable data. Its result says which.
                    guard await writing.write(piece) else { break }
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
    package func say(
        _ text: String, voice: String?, by command: SpeechCommand, utterance: String? = nil
    ) async throws -> Receipt {
        try await speaking(utterance) { speech in
            let (conversation, media, begun) = (conversation, media, speech)
            let taken = Mutex(0)
            let outcome = try await command.speak(text, voice: voice) {
                .seconds(Double(taken.withLock { $0 }) / 16_000)
            } _: { output in
                let outcome = try await Self.speak(from: output, into: conversation, media: media, begun) { samples in
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
        _ utterance: String?,
        _ body: (inout Conversation.Speech) async throws -> (isInterrupted: Bool, warnings: [String])
    ) async throws -> Receipt {
        var speech = try await conversation.beginSpeech(utterance: utterance)
        do {
            let (isInterrupted, warnings) = try await body(&speech)
            try await conversation.endSpeech(speech)
            return Receipt(
                seconds: Double(speech.samples) / 16_000, isInterrupted: isInterrupted, warnings: warnings)
        } catch {
            // The first error counts.
            try? await conversation.endSpeech(speech)
            throw error
        }
    }

    /// Reads a container from a pipe to its end and pushes it into a session.
    ///
    /// - Parameter onPush: Called with the number of samples taken so far, at 16 kHz.
    private static func speak(
        from pipe: FileHandle, into conversation: Conversation, media: FFmpeg, _ begun: Conversation.Speech,
        onPush: @Sendable (Int) -> Void = { _ in }
    ) async throws -> (speech: Conversation.Speech, isInterrupted: Bool, warnings: [String]) {
        // Ends the writer. It is closed already only if reading failed.
        defer { try? pipe.close() }
        let source = try await media.liveSource(from: pipe, sound: LoadedAvatar.sound)
        return try await speak(from: source, into: conversation, begun, onPush: onPush)
    }

    private static func speak(
        from source: LiveSource, into conversation: Conversation, _ begun: Conversation.Speech,
        onPush: @Sendable (Int) -> Void = { _ in }
    ) async throws -> (speech: Conversation.Speech, isInterrupted: Bool, warnings: [String]) {
        var speech = begun
        do {
            try await conversation.joinSamples(before: speech)
            while let (samples, sound) = try await source.read() {
                guard try await conversation.push(samples, sound: sound, &speech) else {
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
        try await conversation.finish(speech)
        return (speech, false, warnings)
    }
}
