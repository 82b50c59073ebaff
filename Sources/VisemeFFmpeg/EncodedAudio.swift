import CFFmpeg
import Foundation
import Viseme

/// The original sound, or a part of it, encoded as AAC.
struct EncodedAudio: ~Copyable {
    private var source: AudioSource
    private var encoder: AACEncoder
    private var resampler: Resampler
    private var hasFrame: Bool
    /// Samples at the source's rate that are skipped before the part.
    private var toSkip: Int64
    /// Samples at the source's rate that remain in the part.
    private var toTake: Int64
    private var ended = false

    /// Notes for the report.
    private(set) var notes: [String]

    /// Opens the sound and an AAC encoder at the same or the nearest supported rate.
    ///
    /// - Parameters:
    ///   - url: The file.
    ///   - range: The part in seconds, cut exactly to the sample; nil for all.
    init(_ url: URL, range: Range<Double>?) throws {
        var source = try AudioSource(url)
        guard try source.next() else { throw VisemeError(.badData, "\(source.label) holds no sample") }
        let form = Resampler.form(of: source.frame)
        var notes: [String] = []
        let rate = AACEncoder.rate(near: form.rate)
        if rate != form.rate {
            notes.append("AAC does not support \(form.rate) Hz: the sound was encoded at \(rate) Hz.")
        }
        let encoder = try AACEncoder(like: source.frame, rate: rate, label: source.label)
        if encoder.channels != form.channels {
            notes.append("AAC does not support these \(form.channels) channels: mixed to \(encoder.channels).")
        }
        let resampler = try Self.makeResampler(source.frame, encoder, label: source.label)
        let samples = { (seconds: Double) in Int64((seconds * Double(form.rate)).rounded()) }
        // 2³² seconds: later than the end of any file.
        let limit = 4_294_967_296.0
        let lower = samples(min(range?.lowerBound ?? 0, limit))
        self.source = source
        self.encoder = encoder
        self.resampler = resampler
        self.notes = notes
        hasFrame = true
        toSkip = lower
        toTake = range.map { samples(min($0.upperBound, limit)) - lower } ?? Int64.max
    }

    private static func makeResampler(
        _ frame: borrowing AVFrameBox, _ encoder: borrowing AACEncoder, label: String
    ) throws -> Resampler {
        let form = Resampler.form(of: frame)
        let target = Resampler.Form(
            rate: encoder.rate, channels: encoder.channels, format: AACEncoder.format.rawValue)
        let raw = frame.pointer
        let context = encoder.context
        return try withUnsafePointer(to: &raw.pointee.ch_layout) { layout in
            try withUnsafePointer(to: &context.pointee.ch_layout) { targetLayout in
                try Resampler(
                    from: form, layout: layout, to: target, targetLayout: targetLayout, mixing: .standard, label: label)
            }
        }
    }

    /// Seconds of sound encoded.
    var seconds: Double { encoder.seconds }

    /// A description of the sound, for the report.
    var summary: String { "encoded aac \(encoder.rate) Hz \(encoder.channels) channels" }

    /// Adds the stream to a container.
    func addStream(to muxer: borrowing Muxer) throws {
        let context = encoder.context
        _ = try muxer.addStream(unit: context.pointee.time_base) {
            avcodec_parameters_from_context($0, context)
        }
    }

    /// Decodes and encodes up to a time in seconds of the video.
    mutating func advance(to limit: Double, into muxer: borrowing Muxer) throws {
        while !ended, seconds < limit {
            let isFrame = try hasFrame || source.next()
            hasFrame = false
            if isFrame, toTake > 0 {
                try take()
            } else {
                try drain()
                ended = true
            }
            try encoder.encode(ended: ended, into: muxer)
        }
        if ended, seconds == 0, notes.isEmpty { notes.append("\(source.label) has no sample in the requested part.") }
    }

    /// Cuts the decoded frame and sends the rest to the encoder.
    private mutating func take() throws {
        let raw = source.frame.pointer.pointee
        let count = Int64(raw.nb_samples)
        let offset = min(toSkip, count)
        toSkip -= offset
        let taken = min(count - offset, toTake)
        guard taken > 0 else { return }
        if toTake != Int64.max { toTake -= taken }
        if Resampler.form(of: source.frame) != resampler.source {
            try drain()
            resampler = try Self.makeResampler(source.frame, encoder, label: source.label)
        }
        let format = AVSampleFormat(raw.format)
        let channels = Int(raw.ch_layout.nb_channels)
        let isPlanar = av_sample_fmt_is_planar(format) != 0
        let step = Int(av_get_bytes_per_sample(format)) * (isPlanar ? 1 : channels)
        guard let data = raw.extended_data else { return }
        var planes = (0..<(isPlanar ? channels : 1)).map { data[$0].map { $0 + Int(offset) * step } }
        _ = try planes.withUnsafeMutableBufferPointer { try convert($0.baseAddress, count: Int(taken)) }
    }

    private mutating func drain() throws {
        while try convert(nil, count: 0) > 0 {}
    }

    @discardableResult
    private mutating func convert(
        _ planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, count: Int
    ) throws -> Int {
        let bound = resampler.outputBound(for: count)
        let output = try encoder.buffer(samples: bound)
        guard let data = output.pointer.pointee.extended_data else { return 0 }
        let written = try resampler.convert(planes, count: count, into: data, capacity: bound)
        try encoder.push(data, count: written)
        return written
    }
}
