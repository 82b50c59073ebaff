import CFFmpeg
import Foundation
import Viseme

/// An opened media file that gives packets.
struct Demuxer: ~Copyable {
    /// The native context, owned.
    let context: UnsafeMutablePointer<AVFormatContext>
    /// How the file is named in messages.
    let name: String

    /// How an input is read.
    enum Manner {
        /// A file, or a pipe that is read to its end: nothing else is opened.
        case file
        /// Something that goes on while it is read, from a pipe or a network: begun with as little of it as possible.
        case live
        /// Something untrusted from a pipe: nothing else is opened.
        case pipe
        /// The same as `live`, of bare samples that nothing describes.
        case samples(RawSamples)
    }

    /// Protocols of a live input.
    private static let liveProtocols = "file,pipe,http,https,tcp,tls,crypto,udp,rtp,srt,rtmp,rtmps"

    /// Formats that are lists of other files or addresses: an untrusted file must not make us open those.
    private static let indirectFormats: Set<String> = ["hls", "concat", "dash", "imf", "sdp", "rtsp", "ffmetadata"]

    /// Opens a file, or standard input for `pipe:0`, and looks at its streams.
    ///
    /// - Parameters:
    ///   - url: The file.
    ///   - thing: What the file is for, in messages: "Speech", "Template".
    ///   - manner: How it is read.
    /// - Throws: `.noInput` when it is not there, `.badData` when libav* does not know what it is.
    init(_ url: URL, as thing: String, manner: Manner = .file) throws {
        let name = VisemeFFmpeg.name(of: url)
        try Self.requireFile(url, as: thing, manner: manner)
        context = try Self.open(url, label: "\(thing) '\(name)'", name: name, manner: manner)
        self.name = name
    }

    private static func open(
        _ url: URL, label: String, name: String, manner: Manner
    ) throws -> UnsafeMutablePointer<AVFormatContext> {
        var context: UnsafeMutablePointer<AVFormatContext>?
        var options: OpaquePointer?
        var format: UnsafePointer<AVInputFormat>?
        defer { av_dict_free(&options) }
        switch manner {
        case .file: av_dict_set(&options, "protocol_whitelist", "file,pipe", 0)
        case .live, .pipe:
            let isPipe = if case .pipe = manner { true } else { false }
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
        try check(
            status,
            Purpose(
                .badData, "\(label) is not a media file that libav* can read",
                hint: "check it with: ffprobe '\(name)'"))
        do {
            let input = try check(context, "input")
            let format = text(input.pointee.iformat.pointee.name)
            if format.split(separator: ",").contains(where: { indirectFormats.contains(String($0)) }) {
                throw VisemeError(.unsupported, "\(label) is a list of other files (\(format)), not media")
            }
            // Bare samples are described already, and looking at them would only cost time.
            if case .samples = manner { return input }
            try check(
                avformat_find_stream_info(context, nil),
                Purpose(.badData, "\(label) has no stream that can be understood"))
            return input
        } catch {
            avformat_close_input(&context)
            throw error
        }
    }

    deinit {
        var context: UnsafeMutablePointer<AVFormatContext>? = context
        avformat_close_input(&context)
    }

    /// How many streams the file has.
    var streamCount: Int { Int(context.pointee.nb_streams) }

    /// The stream with a number, or nil.
    func stream(_ index: Int) -> UnsafeMutablePointer<AVStream>? {
        guard index >= 0, index < streamCount, let streams = context.pointee.streams else { return nil }
        return streams[index]
    }

    /// Picks the best stream of a kind and tells libav* to skip the others.
    ///
    /// - Returns: The stream's number, or nil when there is none.
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

    /// The streams in words: "video h264, audio aac".
    func describeStreams() -> String {
        let all = (0..<streamCount).compactMap { index -> String? in
            guard let parameters = stream(index)?.pointee.codecpar else { return nil }
            let kind = av_get_media_type_string(parameters.pointee.codec_type)
            return "\(text(kind)) \(codecName(parameters.pointee.codec_id))"
        }
        return all.isEmpty ? "no stream" : all.joined(separator: ", ")
    }

    private static func requireFile(_ url: URL, as thing: String, manner: Manner) throws {
        guard url.isFileURL else {
            if case .file = manner, url != FFmpeg.standardInput {
                throw VisemeError(.unsupported, "\(thing) '\(url.absoluteString)' is not a file")
            }
            return
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw VisemeError(.noInput, "\(thing) '\(url.path)' does not exist", hint: "check the path")
        }
        guard !isFolder.boolValue else {
            throw VisemeError(.noInput, "\(thing) '\(url.path)' is a folder, not a file")
        }
        guard FileManager.default.isReadableFile(atPath: url.path) else {
            throw VisemeError(.noInput, "\(thing) '\(url.path)' cannot be read: permission denied")
        }
    }
}
