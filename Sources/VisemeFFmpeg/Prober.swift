import CFFmpeg
import Foundation
import Viseme

/// Reads all packets of a file and summarizes its streams.
actor Prober {
    private let executor = BlockingExecutor("probe")

    /// The actor's own executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// The streams of a file with their lengths by packets.
    func summary(of url: URL) throws -> MediaSummary {
        let demuxer = try Demuxer(url, as: "File")
        let packet = try Packet()
        var streams = (0..<demuxer.streamCount).map { Self.describe(demuxer.stream($0)) }
        while demuxer.read(into: packet) >= 0 {
            let raw = packet.pointer.pointee
            let number = Int(raw.stream_index)
            // Streams that appear while the file is read are not reported.
            guard streams.indices.contains(number), let stream = demuxer.stream(number) else { continue }
            guard raw.flags & AV_PKT_FLAG_DISCARD == 0 else { continue }
            let isFirst = streams[number].packets == 0
            streams[number].packets += 1
            let unit = stream.pointee.time_base
            guard raw.pts != viseme_no_timestamp(), unit.den > 0 else { continue }
            let start = Double(raw.pts) * Double(unit.num) / Double(unit.den)
            let length = Double(max(0, raw.duration)) * Double(unit.num) / Double(unit.den)
            streams[number].startSeconds = isFirst ? start : min(start, streams[number].startSeconds)
            streams[number].endSeconds = isFirst ? start + length : max(start + length, streams[number].endSeconds)
        }
        return MediaSummary(
            format: text(demuxer.context.pointee.iformat.pointee.name),
            metadata: Self.metadata(demuxer.context.pointee.metadata), streams: streams)
    }

    private static func describe(_ stream: UnsafeMutablePointer<AVStream>?) -> MediaSummary.Stream {
        var found = MediaSummary.Stream(
            kind: "unknown", codec: "unknown", width: 0, height: 0, fps: 0, rate: 0, channels: 0, format: "",
            colour: "",
            packets: 0, startSeconds: 0, endSeconds: 0)
        guard let stream, let pointer = stream.pointee.codecpar else { return found }
        let parameters = pointer.pointee
        found.kind = text(av_get_media_type_string(parameters.codec_type))
        found.codec = codecName(parameters.codec_id)
        if parameters.codec_type == AVMEDIA_TYPE_VIDEO {
            (found.width, found.height) = (Int(parameters.width), Int(parameters.height))
            let rate = stream.pointee.avg_frame_rate
            found.fps = rate.den > 0 ? Double(rate.num) / Double(rate.den) : 0
            found.format = text(av_get_pix_fmt_name(AVPixelFormat(parameters.format)))
            let names = [
                av_color_space_name(parameters.color_space), av_color_primaries_name(parameters.color_primaries),
                av_color_transfer_name(parameters.color_trc), av_color_range_name(parameters.color_range),
            ]
            found.colour = names.map { text($0) }.joined(separator: " ")
        } else if parameters.codec_type == AVMEDIA_TYPE_AUDIO {
            (found.rate, found.channels) = (Int(parameters.sample_rate), Int(parameters.ch_layout.nb_channels))
            found.format = text(av_get_sample_fmt_name(AVSampleFormat(parameters.format)))
        }
        return found
    }

    private static func metadata(_ dictionary: OpaquePointer?) -> [String: String] {
        var found: [String: String] = [:]
        var entry: UnsafeMutablePointer<AVDictionaryEntry>?
        while true {
            entry = av_dict_get(dictionary, "", entry, AV_DICT_IGNORE_SUFFIX)
            guard let entry else { return found }
            found[text(entry.pointee.key)] = text(entry.pointee.value)
        }
    }
}
