import CFFmpeg
import Foundation
import Viseme

/// Decodes speech from any file, averaged to mono and resampled to 16 kHz.
actor SpeechDecoder: SpeechReader {
    private let executor = BlockingExecutor("speech")
    private var stream: SpeechStream?

    /// The actor's own executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens the file and decodes its first samples, so that an empty file is detected at once.
    static func open(_ url: URL) async throws -> SpeechDecoder {
        let decoder = SpeechDecoder()
        try await decoder.start(url)
        return decoder
    }

    private func start(_ url: URL) throws {
        var opened = try SpeechStream(url)
        try opened.fill()
        stream = consume opened
    }

    /// The next samples, at most one second.
    func read() throws -> [Float]? {
        try Task.checkCancellation()
        return try stream?.read() ?? nil
    }

    /// Recoverable problems so far.
    var warnings: [String] { stream?.warnings ?? [] }
}

/// The state of a `SpeechDecoder`.
struct SpeechStream: ~Copyable {
    private var source: AudioSource
    private var converter: SampleConverter
    private var pending: [Float] = []
    private var start = 0
    private var total = 0
    private var ended = false

    /// The most samples that `read()` returns: one second.
    private static let chunk = AudioFormat.speech.rate

    init(_ url: URL) throws {
        source = try AudioSource(url)
        converter = SampleConverter(
            rate: AudioFormat.speech.rate, channels: AudioFormat.speech.channels, mixing: .mean, label: source.label)
    }

    var warnings: [String] {
        var all = source.warnings
        if converter.changes > 0 {
            all.append("\(source.label) changes its rate, channels or format \(converter.changes) times.")
        }
        return all
    }

    mutating func read() throws -> [Float]? {
        try fill()
        guard start < pending.count else { return nil }
        let end = min(start + Self.chunk, pending.count)
        defer { start = end }
        return Array(pending[start..<end])
    }

    /// Decodes until a chunk is complete, or to the end.
    ///
    /// - Throws: `.badData` when the file has no samples.
    mutating func fill() throws {
        if start > 0 {
            pending.removeFirst(start)
            start = 0
        }
        while !ended && pending.count < Self.chunk {
            let isFrame = try source.next()
            let samples = isFrame ? try converter.convert(source.frame) : try converter.drain()
            pending += samples
            total += samples.count
            if !isFrame { try finish() }
        }
    }

    private mutating func finish() throws {
        ended = true
        guard total > 0 else { throw source.emptiness }
    }
}
