import CFFmpeg
import Viseme

/// Converts rate, channels and sample format with libswresample; rates always with soxr.
struct Resampler: ~Copyable {
    /// An audio format.
    struct Form: Equatable {
        /// The sample rate in Hz.
        var rate: Int32
        /// Channels.
        var channels: Int32
        /// The sample format's id.
        var format: Int32
    }

    /// How channels are mixed.
    enum Mixing {
        /// The mean of all channels; the target has one.
        case mean
        /// The default mix of libswresample for the two layouts.
        case standard
    }

    private let context: OpaquePointer
    /// The input format.
    let source: Form
    /// The output format.
    let target: Form

    /// soxr's precision in bits; 20 is its "HQ" recipe, which the reference uses.
    private static let precision: Double = 20

    /// Makes a converter.
    ///
    /// - Throws: `.unavailable` without soxr, `.unsupported` for channel layouts that libswresample does not support.
    init(
        from source: Form, layout: UnsafePointer<AVChannelLayout>, to target: Form,
        targetLayout: UnsafePointer<AVChannelLayout>, mixing: Mixing, label: String
    ) throws {
        context = try Self.open(
            from: source, layout: layout, to: target, targetLayout: targetLayout, mixing: mixing, label: label)
        self.source = source
        self.target = target
    }

    private static func open(
        from source: Form, layout: UnsafePointer<AVChannelLayout>, to target: Form,
        targetLayout: UnsafePointer<AVChannelLayout>, mixing: Mixing, label: String
    ) throws -> OpaquePointer {
        // swr_alloc_set_opts2 wants mutable layouts in FFmpeg 5, so it gets copies.
        var (input, output) = (AVChannelLayout(), AVChannelLayout())
        defer {
            av_channel_layout_uninit(&input)
            av_channel_layout_uninit(&output)
        }
        try Self.copyLayout(layout, to: &input)
        try Self.copyLayout(targetLayout, to: &output)
        var made: OpaquePointer?
        do {
            try check(
                swr_alloc_set_opts2(
                    &made, &output, AVSampleFormat(target.format), target.rate, &input, AVSampleFormat(source.format),
                    source.rate, 0, nil),
                Purpose(.unsupported, "\(label): \(source.channels) channels cannot be converted"))
            let context = try check(made, "resampler")
            let options = UnsafeMutableRawPointer(context)
            av_opt_set_sample_fmt(options, "internal_sample_fmt", AV_SAMPLE_FMT_FLTP, 0)
            if source.rate != target.rate {
                guard text(swresample_configuration()).contains("--enable-libsoxr") else {
                    throw VisemeError(
                        .unavailable, "\(label) has \(source.rate) Hz, and this libswresample was built without soxr",
                        hint: "install an FFmpeg with libsoxr, or give sound at \(target.rate) Hz")
                }
                av_opt_set(options, "resampler", "soxr", 0)
                av_opt_set_double(options, "precision", Self.precision, 0)
            }
            if case .mean = mixing {
                let weights = [Double](repeating: 1 / Double(source.channels), count: Int(source.channels))
                try check(
                    swr_set_matrix(context, weights, source.channels),
                    Purpose(.unsupported, "\(label): \(source.channels) channels cannot be averaged"))
            }
            try check(
                swr_init(context),
                Purpose(
                    .unsupported,
                    "\(label): \(source.rate) Hz, \(source.channels) channels cannot be converted to \(target.rate) Hz")
            )
            return context
        } catch {
            swr_free(&made)
            throw error
        }
    }

    deinit {
        var context: OpaquePointer? = context
        swr_free(&context)
    }

    /// The format of a decoded frame.
    static func form(of frame: borrowing AVFrameBox) -> Form {
        let raw = frame.pointer.pointee
        return Form(rate: raw.sample_rate, channels: raw.ch_layout.nb_channels, format: raw.format)
    }

    /// An upper bound of the output samples for `count` more input samples.
    func outputBound(for count: Int) -> Int {
        max(0, Int(swr_get_out_samples(context, Int32(clamping: count)))) + 32
    }

    /// Converts samples; nil `input` drains the buffered ones.
    ///
    /// - Returns: The number of samples written per channel.
    func convert(
        _ input: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, count: Int,
        into output: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, capacity: Int
    ) throws -> Int {
        let written = try check(
            viseme_swr_convert(context, output, Int32(clamping: capacity), input, Int32(clamping: count)),
            Purpose(.internal, "libswresample failed"))
        return Int(written)
    }

    private static func copyLayout(_ layout: UnsafePointer<AVChannelLayout>, to copy: inout AVChannelLayout) throws {
        // An unspecified layout becomes the default layout of its channel count.
        if layout.pointee.order == AV_CHANNEL_ORDER_UNSPEC {
            av_channel_layout_default(&copy, layout.pointee.nb_channels)
        } else {
            try check(av_channel_layout_copy(&copy, layout), Purpose(.internal, "A channel layout cannot be copied"))
        }
    }
}
