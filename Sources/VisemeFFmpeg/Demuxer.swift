import CFFmpeg
import Foundation
import Viseme

/// Reads packets from a media file.
struct Demuxer: ~Copyable {
    /// The native context, owned.
    let context: UnsafeMutablePointer<AVFormatContext>
    /// The file's name in messages.
    let name: String

    /// How to read an input.
    enum InputKind {
        /// A file, or a pipe that is read to its end. Opens no other resource.
        case file
        /// A live input from a pipe or a network, with minimal probing.
        case live
        /// An untrusted pipe. Opens no other resource.
        case pipe
        /// Like `live`, for raw samples without a container.
        case samples(RawSamples)
    }

    /// The allowed protocols of a live input.
    private static let liveProtocols = "file,pipe,http,https,tcp,tls,crypto,udp,rtp,srt,rtmp,rtmps"

    /// The allowed formats: media in one file. Playlists, session descriptions, scripts and devices are excluded, so that no input
    /// can open other resources.
    private static let formats = [
        "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "bmp_pipe", "caf", "dts", "dv",
        "eac3",
        "f32le", "flac", "flv", "gif", "gsm", "h264", "hevc", "image2", "ivf", "jpeg_pipe", "loas", "matroska", "mjpeg",
        "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "ogg", "oma", "png_pipe", "rm",
        "s16le", "shn", "sox", "tak", "tiff_pipe", "tta", "voc", "w64", "wav", "webp_pipe", "wtv", "wv", "xwma",
    ].joined(separator: ",")

    /// The most pixels of a picture decoded during probing: 8K.
    private static let largestPicture = 7680 * 4320

    /// Opens a file, or standard input for `pipe:0`, and probes its streams.
    ///
    /// - Parameters:
    ///   - url: The file.
    ///   - thing: The file's role in messages: "Speech", "Template".
    ///   - kind: How to read it.
    /// - Throws: `.noInput` when it does not exist, `.badData` when libav* does not recognize it.
    init(_ url: URL, as thing: String, kind: InputKind = .file) throws {
        let name = VisemeFFmpeg.name(of: url)
        try Self.requireFile(url, as: thing, kind: kind)
        context = try Self.open(url, label: "\(thing) '\(name)'", name: name, kind: kind)
        self.name = name
    }

    private static func open(
        _ url: URL, label: String, name: String, kind: InputKind
    ) throws -> UnsafeMutablePointer<AVFormatContext> {
        var context = viseme_alloc_single_input()
        var options: OpaquePointer?
        var format: UnsafePointer<AVInputFormat>?
        defer { av_dict_free(&options) }
        av_dict_set(&options, "format_whitelist", formats, 0)
        switch kind {
        case .file: av_dict_set(&options, "protocol_whitelist", "file,pipe", 0)
        case .live, .pipe:
            let isPipe = if case .pipe = kind { true } else { false }
            av_dict_set(&options, "protocol_whitelist", isPipe ? "pipe" : liveProtocols, 0)
            av_dict_set(&options, "probesize", "65536", 0)
            av_dict_set(&options, "analyzeduration", "200000", 0)
        case .samples(let samples):
            av_dict_set(&options, "protocol_whitelist", liveProtocols, 0)
            av_dict_set(&options, "sample_rate", "\(samples.rate)", 0)
            av_dict_set(&options, "ch_layout", "\(samples.channels)c", 0)
            format = av_find_input_format(samples.format.rawValue)
        }
        let status = avformat_open_input(&context, location(of: url), format, &options)
        if status == viseme_error_posix(EINVAL), let list = refusedFormat(of: url) {
            throw VisemeError(
                .unsupported,
                "\(label) is a playlist or not media (\(list)); files that it names are not opened",
                hint: "give the media file itself")
        }
        try check(
            status,
            Purpose(
                .badData, "\(label) is not a media file that can be read",
                hint: "give audio or video in one file, not a playlist; check it with: ffprobe '\(name)'"))
        do {
            let input = try check(context, "input")
            // Raw samples need no probing.
            if case .samples = kind { return input }
            try findStreams(of: input, label: label)
            return input
        } catch {
            avformat_close_input(&context)
            throw error
        }
    }

    /// Probes the streams, with a limit on picture sizes.
    private static func findStreams(of input: UnsafeMutablePointer<AVFormatContext>, label: String) throws {
        var options = [OpaquePointer?](repeating: nil, count: Int(input.pointee.nb_streams))
        for i in options.indices { av_dict_set(&options[i], "max_pixels", "\(largestPicture)", 0) }
        defer { for i in options.indices { av_dict_free(&options[i]) } }
        try check(
            avformat_find_stream_info(input, &options),
            Purpose(.badData, "\(label) has no readable stream"))
    }

    /// The name of a file's format, if it is not allowed. Reads only the beginning of the file.
    private static func refusedFormat(of url: URL) -> String? {
        // This only improves an error message.
        guard url.isFileURL, let file = try? FileHandle(forReadingFrom: url),
            let head = try? file.read(upToCount: 1 << 16)
        else { return nil }
        let padding = Data(count: Int(AVPROBE_PADDING_SIZE))
        let name = (head + padding).withUnsafeBytes { bytes -> String? in
            var probe = AVProbeData()
            probe.buf = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
            probe.buf_size = Int32(head.count)
            var score: Int32 = 0
            guard let found = av_probe_input_format3(&probe, 1, &score) else { return nil }
            return text(found.pointee.name)
        }
        let known = Set(formats.split(separator: ","))
        guard let name, !name.split(separator: ",").contains(where: known.contains) else { return nil }
        return name
    }

    deinit {
        var context: UnsafeMutablePointer<AVFormatContext>? = context
        avformat_close_input(&context)
    }

    /// The number of streams.
    var streamCount: Int { Int(context.pointee.nb_streams) }

    /// The stream with an index, or nil.
    func stream(_ index: Int) -> UnsafeMutablePointer<AVStream>? {
        guard index >= 0, index < streamCount, let streams = context.pointee.streams else { return nil }
        return streams[index]
    }

    /// Selects the best stream of a kind and discards the others.
    ///
    /// - Returns: The stream's index, or nil when there is none.
    func select(_ kind: AVMediaType) -> Int? {
        let best = Int(av_find_best_stream(context, kind, -1, -1, nil, 0))
        guard best >= 0, stream(best) != nil else { return nil }
        for index in 0..<streamCount where index != best { stream(index)?.pointee.discard = AVDISCARD_ALL }
        return best
    }

    /// Reads the next packet.
    ///
    /// - Returns: Zero, the end status, or another negative status.
    func read(into packet: borrowing Packet) -> Int32 { read(into: packet.pointer) }

    /// Reads the next packet into a native one, which is emptied first.
    func read(into packet: UnsafeMutablePointer<AVPacket>) -> Int32 {
        av_packet_unref(packet)
        return av_read_frame(context, packet)
    }

    /// A description of the streams: "video h264, audio aac".
    func describeStreams() -> String {
        let all = (0..<streamCount).compactMap { index -> String? in
            guard let parameters = stream(index)?.pointee.codecpar else { return nil }
            let kind = av_get_media_type_string(parameters.pointee.codec_type)
            return "\(text(kind)) \(codecName(parameters.pointee.codec_id))"
        }
        return all.isEmpty ? "no stream" : all.joined(separator: ", ")
    }

    private static func requireFile(_ url: URL, as thing: String, kind: InputKind) throws {
        guard url.isFileURL else {
            if case .file = kind, url != FFmpeg.standardInput {
                throw VisemeError(.unsupported, "\(thing) '\(url.absoluteString)' is not a file")
            }
            return
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw VisemeError(missing: thing, at: url)
        }
        guard !isFolder.boolValue else {
            throw VisemeError(.noInput, "\(thing) '\(url.path)' is a folder, not a file")
        }
        guard FileManager.default.isReadableFile(atPath: url.path) else {
            throw VisemeError(.noInput, "\(thing) '\(url.path)' cannot be read: permission denied")
        }
    }
}
