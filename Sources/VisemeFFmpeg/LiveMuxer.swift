import CFFmpeg
public import Foundation
import Viseme

/// Writes encoded units to a container in memory, for one viewer: MPEG-TS, or fragmented MP4 for Media Source Extensions with its
/// header first. Time begins at 0 with the viewer's first unit.
public actor LiveMuxer {
    /// Pictures in a fragment; fragments add half of it to the latency on average.
    private static let fragment = 2

    private let muxer: Muxer
    private let packet: Packet
    private let format: LiveFormat
    private let isFragmented: Bool
    /// The encoder's priming in samples. All timestamps are delayed by it, so that none is negative.
    private let priming: Int
    private var first: Int?
    private var pictures = 0

    /// Opens a container.
    ///
    /// - Parameters:
    ///   - format: The encoder's stream parameters.
    ///   - container: Fragmented MP4 or MPEG-TS.
    ///   - software: The program name for the container's metadata.
    ///   - declaresSynthetic: Whether the metadata says that a trained model made the video.
    ///   - notice: Another sentence for the metadata's comment.
    public init(
        _ format: LiveFormat, container: LiveRequest.Container, software: String, declaresSynthetic: Bool = true,
        notice: String? = nil
    ) throws {
        var layout = container.layout
        layout.isInMemory = true
        if container == .mp4 {
            // The header at once, and explicit fragments. The muxer does not shift timestamps, and the priming is part of the
            // timeline, not of an edit list.
            layout.options = [
                ("movflags", "+empty_moov+default_base_moof+frag_custom+frag_discont+use_metadata_tags"),
                ("use_editlist", "0"), ("avoid_negative_ts", "disabled"),
            ]
        }
        let muxer = try Muxer(location: "live.\(container.rawValue)", layout, name: "the live video")
        let stream = try muxer.addStream(unit: AVRational(num: 1, den: 90_000)) {
            avcodec_parameters_copy($0, format.video.pointer)
        }
        stream.pointee.avg_frame_rate = AVRational(num: 25, den: 1)
        _ = try muxer.addStream(unit: AVRational(num: 1, den: Int32(clamping: format.rate))) {
            avcodec_parameters_copy($0, format.audio.pointer)
        }
        muxer.describe(software: software, declaresSynthetic: declaresSynthetic, notice: notice)
        try muxer.writeHeader()
        packet = try Packet()
        self.muxer = consume muxer
        self.format = format
        isFragmented = container == .mp4
        priming = Int(format.audio.pointer.pointee.initial_padding)
    }

    /// The bytes before the first unit: the header of MP4; empty for MPEG-TS.
    public func header() -> Data { muxer.take() }

    /// Adds the next unit. The first unit must have a key frame.
    ///
    /// - Returns: The bytes that are ready.
    public func write(_ unit: EncodedUnit) throws -> Data {
        let first = self.first ?? unit.index
        self.first = first
        let samplesPerUnit = format.rate / 25
        for sound in unit.sound {
            let start = sound.start - first * samplesPerUnit + priming
            // Sound before the first picture is dropped.
            guard start >= 0 else { continue }
            try write(
                sound.data, to: Muxer.audioStream, start: start, length: sound.samples, unit: Int32(format.rate),
                isKey: true)
        }
        if let picture = unit.picture {
            let start = (unit.index - first) * 3600 + priming * 90_000 / format.rate
            try write(
                picture.data, to: Muxer.videoStream, start: start, length: 3600, unit: 90_000, isKey: picture.isKey)
            pictures += 1
            // The first fragment has one picture, which is visible at once.
            if isFragmented, (pictures - 1) % Self.fragment != 0 { return Data() }
        }
        try muxer.flush()
        return muxer.take()
    }

    /// Completes the container.
    public func finish() throws -> Data {
        try muxer.finish()
        return muxer.take()
    }

    private func write(
        _ data: Data, to number: Int, start: Int, length: Int, unit: Int32, isKey: Bool
    ) throws {
        packet.clear()
        try check(
            av_new_packet(packet.pointer, Int32(clamping: data.count)),
            Purpose(.internal, "No memory for \(data.count) bytes of video"))
        if let bytes = packet.pointer.pointee.data { data.copyBytes(to: bytes, count: data.count) }
        packet.pointer.pointee.pts = Int64(start)
        packet.pointer.pointee.dts = Int64(start)
        packet.pointer.pointee.duration = Int64(length)
        if isKey { packet.pointer.pointee.flags |= AV_PKT_FLAG_KEY }
        try muxer.writeNow(packet, to: number, unit: AVRational(num: 1, den: unit))
    }
}
