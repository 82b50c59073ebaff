import CFFmpeg
import Viseme

/// libavcodec's own AAC encoder, with a queue that makes frames of its size.
struct AACEncoder: ~Copyable {
    /// The input sample format.
    static let format = AV_SAMPLE_FMT_FLTP

    /// The sample rates of AAC (ISO/IEC 14496-3, samplingFrequencyIndex 0…12).
    private static let rates: [Int32] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ]

    /// The AAC sample rate nearest to `rate`.
    static func rate(near rate: Int32) -> Int32 {
        rates.min { abs($0 - rate) < abs($1 - rate) } ?? 48_000
    }

    private let codecContext: CodecContext
    private let queue: SampleQueue
    private let packet: Packet
    private let label: String
    /// Samples given to the encoder so far.
    private var encoded: Int64 = 0

    /// Opens an encoder for an audio format.
    init(_ form: AudioFormat, label: String) throws {
        let frame = try AVFrameBox()
        av_channel_layout_default(&frame.pointer.pointee.ch_layout, Int32(clamping: form.channels))
        try self.init(like: frame, rate: Int32(clamping: form.rate), label: label)
    }

    /// Opens an encoder for the layout of a decoded frame.
    ///
    /// - Parameters:
    ///   - frame: A decoded frame of the sound.
    ///   - rate: A sample rate of AAC.
    /// - Throws: `.unsupported` for channels that AAC cannot carry even as stereo.
    init(like frame: borrowing AVFrameBox, rate: Int32, label: String) throws {
        let packet = try Packet()
        guard let codec = avcodec_find_encoder(AV_CODEC_ID_AAC) else {
            throw VisemeError(.unavailable, "This libavcodec was built without an AAC encoder")
        }
        let count = frame.pointer.pointee.ch_layout.nb_channels
        var opened: CodecContext?
        // The layout itself, the default layout of its channel count, and stereo.
        for attempt in 0..<3 {
            var layout = AVChannelLayout()
            defer { av_channel_layout_uninit(&layout) }
            switch attempt {
            case 0: av_channel_layout_copy(&layout, &frame.pointer.pointee.ch_layout)
            case 1: av_channel_layout_default(&layout, count)
            default: av_channel_layout_default(&layout, 2)
            }
            opened = Self.open(codec, layout: &layout, rate: rate)
            if opened != nil { break }
        }
        guard let context = opened.take() else {
            throw VisemeError(
                .unsupported, "\(label): AAC does not support its \(count) channels",
                hint: "write .mkv, or mix the sound to stereo first")
        }
        let queue = try SampleQueue(channels: context.pointer.pointee.ch_layout.nb_channels)
        self.label = label
        self.packet = packet
        self.queue = queue
        codecContext = context
    }

    /// The native context.
    var context: UnsafeMutablePointer<AVCodecContext> { codecContext.pointer }

    private static func open(
        _ codec: UnsafePointer<AVCodec>, layout: inout AVChannelLayout, rate: Int32
    ) -> CodecContext? {
        guard layout.order != AV_CHANNEL_ORDER_UNSPEC, layout.nb_channels > 0 else { return nil }
        // A failure leads to the next attempt, and to an error after the last.
        return try? CodecContext(codec, Purpose(.unsupported, "AAC does not take this layout")) { context in
            context.pointee.sample_fmt = format
            context.pointee.sample_rate = rate
            context.pointee.time_base = AVRational(num: 1, den: rate)
            // 96 kbit/s per channel, less at low sample rates.
            context.pointee.bit_rate = Int64(min(96_000, 4 * rate)) * Int64(layout.nb_channels)
            context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT
            context.pointee.thread_count = 1
            try check(
                av_channel_layout_copy(&context.pointee.ch_layout, &layout), Purpose(.internal, "No memory"))
        }
    }

    /// The sample rate in Hz.
    var rate: Int32 { context.pointee.sample_rate }

    /// Channels.
    var channels: Int32 { context.pointee.ch_layout.nb_channels }

    /// Seconds of sound encoded.
    var seconds: Double { Double(encoded) / Double(rate) }

    /// A frame with room for planar samples.
    func buffer(samples: Int) throws -> AVFrameBox {
        let frame = try AVFrameBox()
        frame.pointer.pointee.nb_samples = Int32(clamping: samples)
        frame.pointer.pointee.format = Self.format.rawValue
        frame.pointer.pointee.sample_rate = rate
        av_channel_layout_copy(&frame.pointer.pointee.ch_layout, &context.pointee.ch_layout)
        try check(av_frame_get_buffer(frame.pointer, 0), Purpose(.internal, "\(label): no memory for its sound"))
        return frame
    }

    /// Appends planar samples.
    func push(_ planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, count: Int) throws {
        guard count > 0 else { return }
        try queue.write(planes, count: count)
    }

    /// Appends interleaved samples, in the encoder's own number of channels.
    func push(interleaved samples: [Float]) throws {
        let channels = Int(channels)
        let count = samples.count / channels
        let frame = try buffer(samples: count)
        guard let data = frame.pointer.pointee.extended_data else { return }
        for channel in 0..<channels {
            guard let plane = data[channel] else { continue }
            plane.withMemoryRebound(to: Float.self, capacity: count) { plane in
                for i in 0..<count { plane[i] = samples[i * channels + channel] }
            }
        }
        try push(data, count: count)
    }

    /// Encodes queued samples, in whole frames except at the end, and writes the packets.
    mutating func encode<Sink: PacketSink & ~Copyable>(ended: Bool, into sink: borrowing Sink) throws {
        let whole = max(1, context.pointee.frame_size)
        while true {
            let queued = queue.count
            guard queued >= whole || (ended && queued > 0) else { break }
            let frame = try buffer(samples: Int(min(queued, whole)))
            guard let data = frame.pointer.pointee.extended_data else { break }
            let taken = try queue.read(into: data, count: min(queued, whole))
            frame.pointer.pointee.nb_samples = taken
            frame.pointer.pointee.pts = encoded
            encoded += Int64(taken)
            try check(
                avcodec_send_frame(context, frame.pointer), Purpose(.internal, "\(label) was not encoded as AAC"))
            try writePackets(into: sink)
        }
        if ended {
            try check(avcodec_send_frame(context, nil), Purpose(.internal, "\(label) was not encoded as AAC"))
            try writePackets(into: sink)
        }
    }

    private func writePackets<Sink: PacketSink & ~Copyable>(into sink: borrowing Sink) throws {
        while true {
            let status = avcodec_receive_packet(context, packet.pointer)
            if status == viseme_error_again() || status == viseme_error_end() { return }
            try check(status, Purpose(.internal, "\(label) was not encoded as AAC"))
            // The only way for Matroska to store the length of the last packet.
            let length = packet.pointer.pointee.duration
            let whole = Int64(context.pointee.frame_size)
            if length > 0, length < whole {
                try check(
                    viseme_packet_set_padding(packet.pointer, UInt32(clamping: whole - length)),
                    Purpose(.internal, "\(label): no memory for its sound"))
            }
            try sink.write(packet, to: Muxer.audioStream, unit: context.pointee.time_base)
        }
    }
}
