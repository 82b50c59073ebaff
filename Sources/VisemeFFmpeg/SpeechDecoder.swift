import CFFmpeg
import Foundation
import Viseme

/// Speech from any file: decoded, averaged to mono, resampled to 16 kHz.
actor SpeechDecoder: SpeechReader {
    private let executor = BlockingExecutor("speech")
    private var stream: SpeechStream?

    /// The actor's own queue.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens the file and decodes its first samples, so that a file without any is found at once.
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

    /// Damage and truncation found so far.
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

    /// The most samples that `read()` gives: one second.
    private static let chunk = SoundForm.speech.rate

    init(_ url: URL) throws {
        source = try AudioSource(url)
        converter = SampleConverter(
            rate: SoundForm.speech.rate, channels: SoundForm.speech.channels, mixing: .mean, label: source.label)
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

    /// Decodes until there is a chunk, or the end.
    ///
    /// - Throws: `.badData` when the whole file held no sample.
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
