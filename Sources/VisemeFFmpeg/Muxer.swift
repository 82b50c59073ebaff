import CFFmpeg
import Foundation
import Viseme

/// The settings of a container for libavformat.
struct ContainerLayout {
    /// Its name in messages.
    var name: String
    /// Its name in libavformat.
    var format: String
    /// Options of its header.
    var options: [(String, String)]
    /// Whether it is live: every packet is flushed at once.
    var isLive = false
    /// Whether it is written to memory, for `take()`.
    var isInMemory = false
}

/// Receives an encoder's packets.
protocol PacketSink: ~Copyable {
    /// Takes one packet with its payload. Its timestamps are in `unit`.
    func write(_ packet: borrowing Packet, to number: Int, unit: AVRational) throws
}

/// Writes packets into a container, ordered by time.
struct Muxer: ~Copyable, PacketSink {
    /// The number of the video stream.
    static let videoStream = 0
    /// The number of the sound stream.
    static let audioStream = 1

    /// libavformat's "experimental" level: FLAC in MP4 needs it in older versions.
    static let leastStrict: Int32 = -2

    private let context: UnsafeMutablePointer<AVFormatContext>
    private let name: String
    private let layout: ContainerLayout

    /// Creates the file at `path`; `name` is for messages.
    init(path: URL, container: Container, name: String) throws {
        try self.init(location: location(of: path), container.layout, name: name)
    }

    /// Opens a libav* URL for output; `name` is for messages.
    init(location: String, _ layout: ContainerLayout, name: String) throws {
        context = try Self.open(location, layout, name: name)
        self.name = name
        self.layout = layout
    }

    private static func open(
        _ location: String, _ layout: ContainerLayout, name: String
    ) throws -> UnsafeMutablePointer<AVFormatContext> {
        var context: UnsafeMutablePointer<AVFormatContext>?
        do {
            try check(
                avformat_alloc_output_context2(&context, nil, layout.format, nil),
                Purpose(.unavailable, "This libavformat cannot write \(layout.name)"))
            let output = try check(context, "output")
            // The same video gives the same bytes: no dates, no random identifiers.
            output.pointee.flags |= AVFMT_FLAG_BITEXACT
            if layout.isLive { output.pointee.flags |= AVFMT_FLAG_FLUSH_PACKETS }
            if layout.isInMemory {
                output.pointee.pb = try check(viseme_memory_open(), "output in memory")
                output.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
                return output
            }
            try check(
                avio_open(&output.pointee.pb, location, AVIO_FLAG_WRITE),
                Purpose(.cannotCreate, "'\(name)' cannot be created"))
            // The second pass of `+faststart` opens the file again under this name.
            output.pointee.url = av_strdup(location)
            return output
        } catch {
            avformat_free_context(context)
            throw error
        }
    }

    deinit {
        if layout.isInMemory {
            viseme_memory_close(&context.pointee.pb)
        } else {
            avio_closep(&context.pointee.pb)
        }
        avformat_free_context(context)
    }

    /// Adds a stream; video comes first.
    func addStream(
        unit: AVRational, parameters fill: (UnsafeMutablePointer<AVCodecParameters>) -> Int32
    ) throws -> UnsafeMutablePointer<AVStream> {
        let stream = try check(avformat_new_stream(context, nil), "stream")
        stream.pointee.time_base = unit
        let parameters = try check(stream.pointee.codecpar, "stream parameters")
        try check(fill(parameters), Purpose(.internal, "'\(name)': the stream's parameters cannot be copied"))
        // Containers have codec tags of their own.
        parameters.pointee.codec_tag = 0
        if parameters.pointee.codec_id == AV_CODEC_ID_FLAC {
            context.pointee.strict_std_compliance = Self.leastStrict
        }
        return stream
    }

    /// Sets an entry of the container's metadata.
    func setMetadata(_ key: String, _ value: String) {
        av_dict_set(&context.pointee.metadata, key, value, 0)
    }

    /// Sets the metadata: the program, the synthetic-media mark, and a notice.
    func describe(software: String, declaresSynthetic: Bool, notice: String?) {
        setMetadata("software", software)
        if declaresSynthetic { setMetadata(SyntheticMark.key, SyntheticMark.sourceType) }
        let comment = [declaresSynthetic ? SyntheticMark.comment : nil, notice].compactMap(\.self)
        if !comment.isEmpty { setMetadata("comment", comment.joined(separator: " ")) }
    }

    /// Writes the header.
    ///
    /// - Throws: `.unsupported` when the container does not support a stream.
    func writeHeader() throws {
        var options: OpaquePointer?
        defer { av_dict_free(&options) }
        for (key, value) in layout.options { av_dict_set(&options, key, value, 0) }
        try check(
            avformat_write_header(context, &options),
            Purpose(.unsupported, "'\(name)': \(layout.name) does not support these streams"))
    }

    /// Whether parameter sets are in the header instead of before every key frame.
    var wantsGlobalHeader: Bool { (context.pointee.oformat?.pointee.flags ?? 0) & AVFMT_GLOBALHEADER != 0 }

    /// Writes one packet, whose timestamps are in `unit`, and takes its payload.
    func write(_ packet: borrowing Packet, to number: Int, unit: AVRational) throws {
        guard let stream = context.pointee.streams[number] else { return }
        av_packet_rescale_ts(packet.pointer, unit, stream.pointee.time_base)
        packet.pointer.pointee.stream_index = Int32(number)
        packet.pointer.pointee.pos = -1
        try checkWrite(av_interleaved_write_frame(context, packet.pointer))
        try checkWrite(context.pointee.pb?.pointee.error ?? 0)
    }

    /// Writes one packet without interleaving; its payload is not consumed.
    func writeNow(_ packet: borrowing Packet, to number: Int, unit: AVRational) throws {
        guard let stream = context.pointee.streams[number] else { return }
        av_packet_rescale_ts(packet.pointer, unit, stream.pointee.time_base)
        packet.pointer.pointee.stream_index = Int32(number)
        try checkWrite(av_write_frame(context, packet.pointer))
    }

    /// Flushes buffered data, such as a fragment.
    func flush() throws { try checkWrite(av_write_frame(context, nil)) }

    /// The bytes written to memory since the last call.
    func take() -> Data {
        guard let output = context.pointee.pb, let memory = viseme_memory_bytes(output) else { return Data() }
        defer { viseme_memory_clear(output) }
        guard let bytes = memory.pointee.data else { return Data() }
        return Data(bytes: bytes, count: memory.pointee.count)
    }

    /// The time unit of a stream after the header was written.
    func unit(of number: Int) -> AVRational {
        context.pointee.streams[number]?.pointee.time_base ?? AVRational(num: 1, den: 1)
    }

    /// Completes the container and closes the file.
    func finish() throws {
        try checkWrite(av_write_trailer(context))
        try checkWrite(context.pointee.pb?.pointee.error ?? 0)
        if !layout.isInMemory { try checkWrite(avio_closep(&context.pointee.pb)) }
    }

    private func checkWrite(_ status: Int32) throws {
        try check(
            status,
            Purpose(
                .cannotCreate, "'\(name)' cannot be written",
                hint: layout.isLive ? "check that the output is being read" : "check the disk"))
    }
}
