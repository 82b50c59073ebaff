import Foundation
import Viseme

/// A media backend that writes slowly while a live session speaks, so that renders do not slow down sessions.
///
/// Frames are drawn as they are written, so a writer that waits pauses the whole render.
struct YieldingMedia: MediaBackend {
    let media: any MediaBackend
    /// The most frames of a video: a file can hold more than its container says.
    let frameLimit: Int
    /// Whether a live session is speaking.
    let isBusy: @Sendable () async -> Bool

    func speech(at url: URL) async throws -> any SpeechReader { try await media.speech(at: url) }

    func template(at url: URL, memory: Int) async throws -> any TemplateReader {
        try await media.template(at: url, memory: memory)
    }

    func writer(_ request: VideoRequest) async throws -> any VideoWriter {
        YieldingWriter(try await media.writer(request), frameLimit: frameLimit, isBusy: isBusy)
    }
}

private actor YieldingWriter: VideoWriter {
    private let writer: any VideoWriter
    private let frameLimit: Int
    private let isBusy: @Sendable () async -> Bool
    private var frames = 0

    init(_ writer: any VideoWriter, frameLimit: Int, isBusy: @escaping @Sendable () async -> Bool) {
        self.writer = writer
        self.frameLimit = frameLimit
        self.isBusy = isBusy
    }

    func append(_ frame: any Picture) async throws {
        frames += 1
        guard frames <= frameLimit else {
            throw VisemeError(.badData, "The speech is longer than its container says, and than \(frameLimit) frames")
        }
        // At most one second a frame, so that a render ends even while sessions always speak.
        for _ in 0..<20 {
            guard await isBusy() else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        try await writer.append(frame)
    }

    func finish() async throws -> VideoReport { try await writer.finish() }
    func cancel() async { await writer.cancel() }
}
