import CFFmpeg
import Foundation
public import Viseme

/// The format of raw samples, without a container.
public struct RawSamples: Sendable, Equatable {
    /// The sample format.
    public enum Format: String, Sendable, CaseIterable {
        /// 16-bit integers, little-endian.
        case s16le
        /// 32-bit floating point, little-endian.
        case f32le
    }

    /// The sample format.
    public var format: Format
    /// The sample rate in Hz.
    public var rate: Int
    /// The number of interleaved channels.
    public var channels: Int

    /// Makes a format.
    ///
    /// - Parameters:
    ///   - format: The sample format.
    ///   - rate: 1000…768000.
    ///   - channels: 1…8.
    public init(format: Format, rate: Int, channels: Int = 1) {
        self.format = format
        self.rate = rate
        self.channels = channels
    }

    /// Checks the ranges.
    ///
    /// - Throws: `.usage`.
    public func validate() throws {
        guard (1000...768_000).contains(rate), (1...8).contains(channels) else {
            throw VisemeError(
                .usage, "Samples have \(rate) Hz and \(channels) channels, expected 1000…768000 Hz, 1…8 channels")
        }
    }
}

/// Decodes arriving speech for a live session: speech at 16 kHz, and the original sound.
public actor LiveSource {
    private let executor = BlockingExecutor("live input")
    private var stream: LiveStream?
    private var unopened: (url: URL, samples: RawSamples)?

    /// The audio format: the source's rate and channels, or the nearest of AAC; at most stereo.
    public private(set) var form = AudioFormat.speech

    /// The actor's own executor.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init() {}

    /// Opens a file, `FFmpeg.standardInput` or a URL that libavformat reads.
    ///
    /// - Parameter samples: The format of raw samples; nil for a container.
    /// - Throws: `.noInput`, `.badData` (no sound), `.unavailable` (no decoder, no soxr), `.usage` (invalid sample format).
    static func open(_ url: URL, samples: RawSamples?) async throws -> LiveSource {
        try samples?.validate()
        let source = LiveSource()
        try await source.start(url, samples: samples)
        return source
    }

    private func start(_ url: URL, samples: RawSamples?) throws {
        if let samples {
            // Opened later: opening waits for the first bytes, and the session can be idle until then.
            form = LiveStream.form(rate: samples.rate, channels: samples.channels)
            unopened = (url, samples)
            return
        }
        let opened = try LiveStream(url, kind: .live)
        form = opened.form
        stream = consume opened
    }

    /// Opens a container from a pipe.
    ///
    /// - Parameters:
    ///   - pipe: The read end. It is closed with the source.
    ///   - sound: The requested audio format.
    static func open(_ pipe: FileHandle, sound: AudioFormat) async throws -> LiveSource {
        let source = LiveSource()
        try await source.start(pipe, sound: sound)
        return source
    }

    /// Opens a container in a file.
    static func open(_ file: URL, sound: AudioFormat) async throws -> LiveSource {
        let source = LiveSource()
        try await source.start(file, sound: sound)
        return source
    }

    private func start(_ file: URL, sound: AudioFormat) throws {
        form = sound
        stream = try LiveStream(file, kind: .file, sound: sound)
    }

    private func start(_ pipe: FileHandle, sound: AudioFormat) throws {
        guard let url = URL(string: "pipe:\(pipe.fileDescriptor)") else { return }
        form = sound
        stream = try LiveStream(url, kind: .pipe, sound: sound, keeping: pipe)
    }

    /// Closes the source; reading then returns nil.
    public func close() {
        stream = nil
        unopened = nil
    }

    /// The next decoded samples; nil at the end.
    ///
    /// - Throws: `.badData` when the source has no samples.
    public func read() throws -> (samples: [Float], sound: [Float])? {
        try Task.checkCancellation()
        if let (url, samples) = unopened {
            unopened = nil
            stream = try LiveStream(url, kind: .samples(samples))
        }
        return try stream?.read() ?? nil
    }

    /// Recoverable problems in the input, one sentence each.
    public var warnings: [String] { stream?.source.warnings ?? [] }
}

/// The state of a `LiveSource`. The fields are destroyed in this order: nothing reads from the pipe once it is closed.
private struct LiveStream: ~Copyable {
    private(set) var source: AudioSource
    private var speech: SampleConverter
    private var sound: SampleConverter
    private var isEnded = false
    private var isEmpty = true
    let form: AudioFormat
    private let pipe: FileHandle?

    init(_ url: URL, kind: Demuxer.InputKind, sound: AudioFormat? = nil, keeping pipe: FileHandle? = nil) throws {
        let source = try AudioSource(url, kind: kind)
        self.pipe = pipe
        let form = sound ?? Self.form(rate: source.rate, channels: source.channels)
        speech = SampleConverter(
            rate: AudioFormat.speech.rate, channels: AudioFormat.speech.channels, mixing: .mean, label: source.label)
        self.sound = SampleConverter(
            rate: form.rate, channels: form.channels, mixing: .standard, label: source.label)
        self.form = form
        self.source = source
    }

    static func form(rate: Int, channels: Int) -> AudioFormat {
        AudioFormat(rate: Int(AACEncoder.rate(near: Int32(clamping: rate))), channels: min(2, channels))
    }

    mutating func read() throws -> (samples: [Float], sound: [Float])? {
        guard !isEnded else { return nil }
        if try source.next() {
            isEmpty = false
            return (try speech.convert(source.frame), try sound.convert(source.frame))
        }
        isEnded = true
        guard !isEmpty else { throw source.emptiness }
        return (try speech.drain(), try sound.drain())
    }
}
