import CFFmpeg
import Viseme

/// H.264 through libx264: 4:2:0, BT.709, limited range.
struct VideoEncoder: ~Copyable {
    private let codecContext: CodecContext
    private var pixels: PixelWriter
    private let packet: Packet

    /// Opens the encoder.
    ///
    /// - Parameters:
    ///   - isLive: Whether to encode without delay, with a key frame every second for new viewers.
    ///   - hasGlobalHeader: Whether the parameter sets are written once, in the container's header.
    /// - Throws: `.unavailable` without libx264.
    init(_ request: VideoRequest, width: Int, height: Int, isLive: Bool = false, hasGlobalHeader: Bool = true) throws {
        guard let codec = avcodec_find_encoder_by_name("libx264") else {
            throw VisemeError(
                .unavailable, "This libavcodec was built without libx264",
                hint: "install an FFmpeg with libx264, or write a folder of PNG images")
        }
        let pixels = try PixelWriter(width: width, height: height)
        let packet = try Packet()
        let (fps, crf) = (Int32(request.fps), Double(request.crf))
        let threads = Int32(clamping: request.threads)
        let size = "\(width)×\(height) at \(fps) frames per second"
        let codecContext = try CodecContext(codec, Purpose(.internal, "libx264 does not support \(size)")) { encoder in
            encoder.pointee.width = Int32(width)
            encoder.pointee.height = Int32(height)
            encoder.pointee.pix_fmt = AV_PIX_FMT_YUV420P
            encoder.pointee.time_base = AVRational(num: 1, den: fps)
            encoder.pointee.framerate = AVRational(num: fps, den: 1)
            encoder.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
            encoder.pointee.color_primaries = AVCOL_PRI_BT709
            encoder.pointee.color_trc = AVCOL_TRC_BT709
            encoder.pointee.colorspace = AVCOL_SPC_BT709
            encoder.pointee.color_range = AVCOL_RANGE_MPEG
            encoder.pointee.chroma_sample_location = AVCHROMA_LOC_LEFT
            encoder.pointee.thread_count = threads
            // A key frame at least every four seconds, for seeking.
            encoder.pointee.gop_size = isLive ? fps : fps * 4
            if hasGlobalHeader { encoder.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER }
            av_opt_set(encoder.pointee.priv_data, "preset", "superfast", 0)
            av_opt_set_double(encoder.pointee.priv_data, "crf", crf, 0)
            // No B-frames, no look-ahead.
            if isLive {
                av_opt_set(encoder.pointee.priv_data, "tune", "zerolatency", 0)
                // A requested key frame is an IDR frame.
                av_opt_set_int(encoder.pointee.priv_data, "forced-idr", 1, 0)
            }
            // x264's macroblock tree reads uninitialized memory: the output differs from run to run. Seen with x264 164 below
            // 640×480 and at 1080×1920, not at 1280×720. The safe sizes are unknown.
            var settings = "mbtree=0"
            // A file gets back the step of the motion search that `superfast` leaves out, and always three B-frames. A talking head
            // has no fades and no cuts: looking for them is a tenth of the encoder's work (docs/performance.md).
            if !isLive { settings += ":subme=2:b-adapt=0:b-pyramid=0:weightp=0:scenecut=0" }
            av_opt_set(encoder.pointee.priv_data, "x264-params", settings, 0)
        }
        self.pixels = pixels
        self.packet = packet
        self.codecContext = codecContext
    }

    /// The native context.
    var context: UnsafeMutablePointer<AVCodecContext> { codecContext.pointer }

    /// Encodes a frame and writes completed packets.
    ///
    /// - Parameters:
    ///   - picture: The frame; nil ends the stream.
    ///   - number: The frame's number.
    ///   - isKey: Whether it must be a key frame.
    mutating func encode<Sink: PacketSink & ~Copyable>(
        _ picture: (any Picture)?, number: Int, isKey: Bool = false, into sink: borrowing Sink
    ) throws {
        if let picture {
            try pixels.convert(picture)
            try encodeAgain(number: number, isKey: isKey, into: sink)
        } else {
            try check(avcodec_send_frame(context, nil), Purpose(.internal, "The last frames were not encoded"))
            try writePackets(number: number, into: sink)
        }
    }

    /// Encodes the previous picture again, as frame `number`.
    func encodeAgain<Sink: PacketSink & ~Copyable>(
        number: Int, isKey: Bool = false, into sink: borrowing Sink
    ) throws {
        pixels.target.pointer.pointee.pts = Int64(number)
        pixels.target.pointer.pointee.pict_type = isKey ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
        try check(
            avcodec_send_frame(context, pixels.target.pointer),
            Purpose(.internal, "Frame \(number) was not encoded"))
        try writePackets(number: number, into: sink)
    }

    private func writePackets<Sink: PacketSink & ~Copyable>(number: Int, into sink: borrowing Sink) throws {
        while true {
            let status = avcodec_receive_packet(context, packet.pointer)
            if status == viseme_error_again() || status == viseme_error_end() { return }
            try check(status, Purpose(.internal, "Frame \(number) was not encoded"))
            // Without it the last frame has no duration in the container.
            packet.pointer.pointee.duration = 1
            try sink.write(packet, to: Muxer.videoStream, unit: context.pointee.time_base)
        }
    }
}
