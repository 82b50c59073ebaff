import CFFmpeg
import Viseme

/// Converts decoded frames of any format to interleaved Float32 of one rate and channel count.
struct SampleConverter: ~Copyable {
    private let rate: Int32
    private let channels: Int32
    private let mixing: Resampler.Mixing
    private let label: String
    private var resampler: Resampler?

    /// The number of format changes between frames.
    private(set) var changes = 0

    /// Prepares a conversion.
    ///
    /// - Parameters:
    ///   - rate: The output sample rate in Hz.
    ///   - channels: The number of output channels; 1 for `.mean`.
    init(rate: Int, channels: Int, mixing: Resampler.Mixing, label: String) {
        self.rate = Int32(clamping: rate)
        self.channels = Int32(clamping: channels)
        self.mixing = mixing
        self.label = label
    }

    /// Converts a frame and returns the completed samples.
    mutating func convert(_ frame: borrowing AVFrameBox) throws -> [Float] {
        var samples: [Float] = []
        let form = Resampler.form(of: frame)
        let known = resampler?.source
        if known != form {
            if known != nil {
                samples = try drain()
                changes += 1
            }
            var layout = AVChannelLayout()
            av_channel_layout_default(&layout, channels)
            let target = Resampler.Form(rate: rate, channels: channels, format: AV_SAMPLE_FMT_FLT.rawValue)
            let raw = frame.pointer
            resampler = try withUnsafePointer(to: &raw.pointee.ch_layout) { source in
                try Resampler(
                    from: form, layout: source, to: target, targetLayout: &layout, mixing: mixing, label: label)
            }
        }
        let raw = frame.pointer.pointee
        return samples + (try push(raw.extended_data, count: Int(raw.nb_samples)))
    }

    /// Drains the resampler. A later conversion opens a new one: soxr reads invalid memory when it is used after its end.
    mutating func drain() throws -> [Float] {
        var samples: [Float] = []
        while true {
            let more = try push(nil, count: 0)
            guard !more.isEmpty else {
                resampler = nil
                return samples
            }
            samples += more
        }
    }

    private mutating func push(
        _ input: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, count: Int
    ) throws -> [Float] {
        guard let bound = resampler?.outputBound(for: count) else { return [] }
        let width = Int(channels)
        return try [Float](unsafeUninitializedCapacity: bound * width) { buffer, written in
            guard let base = buffer.baseAddress else { return }
            var plane: UnsafeMutablePointer<UInt8>? = UnsafeMutableRawPointer(base).assumingMemoryBound(to: UInt8.self)
            written = width * (try resampler?.convert(input, count: count, into: &plane, capacity: bound) ?? 0)
        }
    }
}
