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
    private var resampler: Resampler?
    private var pending: [Float] = []
    private var start = 0
    private var total = 0
    private var ended = false
    private var changes = 0

    private static let rate: Int32 = 16_000
    /// The most samples that `read()` gives: one second.
    private static let chunk = 16_000

    init(_ url: URL) throws {
        source = try AudioSource(url)
    }

    var warnings: [String] {
        var all = source.warnings
        if changes > 0 { all.append("\(source.label) changes its rate, channels or format \(changes) times.") }
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
            if try source.next() { try convert() } else { try finish() }
        }
    }

    private mutating func convert() throws {
        let form = Resampler.form(of: source.frame)
        let known = resampler?.source
        if known != form {
            if known != nil {
                try drain()
                changes += 1
            }
            var mono = AVChannelLayout()
            av_channel_layout_default(&mono, 1)
            let target = Resampler.Form(rate: Self.rate, channels: 1, format: AV_SAMPLE_FMT_FLT.rawValue)
            let frame = source.frame.pointer
            resampler = try withUnsafePointer(to: &frame.pointee.ch_layout) { layout in
                try Resampler(
                    from: form, layout: layout, to: target, targetLayout: &mono, mixing: .mean, label: source.label)
            }
        }
        let raw = source.frame.pointer.pointee
        try push(raw.extended_data, count: Int(raw.nb_samples))
    }

    private mutating func finish() throws {
        try drain()
        ended = true
        guard total > 0 else {
            let why = source.warnings.joined(separator: " ")
            throw VisemeError(
                .badData, "\(source.label) (\(source.codecName)) holds no sample. \(why)",
                hint: "the file is empty or damaged; play it to check")
        }
    }

    private mutating func drain() throws {
        while try push(nil, count: 0) > 0 {}
    }

    @discardableResult
    private mutating func push(
        _ input: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, count: Int
    ) throws -> Int {
        guard let bound = resampler?.outputBound(for: count) else { return 0 }
        let samples = try [Float](unsafeUninitializedCapacity: bound) { buffer, written in
            guard let base = buffer.baseAddress else { return }
            var plane: UnsafeMutablePointer<UInt8>? = UnsafeMutableRawPointer(base).assumingMemoryBound(to: UInt8.self)
            written = try resampler?.convert(input, count: count, into: &plane, capacity: bound) ?? 0
        }
        pending += samples
        total += samples.count
        return samples.count
    }
}
