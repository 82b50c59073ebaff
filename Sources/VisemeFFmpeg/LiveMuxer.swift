import CFFmpeg
public import Foundation
import Viseme

/// Puts encoded units into a container, for one reader, in memory: MPEG-TS, or fragmented MP4 as Media Source Extensions
/// want it, its header first. Time begins at 0 with the first unit, whenever the reader joined.
public actor LiveMuxer {
    /// Pictures in a fragment: half of it is what fragments add to the latency on average.
    private static let fragment = 2

    private let muxer: Muxer
    private let packet: Packet
    private let format: LiveFormat
    private let isFragmented: Bool
    /// Samples before the sound that only the decoder needs: everything is shown later by them, so that no time is negative.
    private let priming: Int
    private var first: Int?
    private var pictures = 0

    /// Opens a container.
    ///
    /// - Parameters:
    ///   - format: The encoder's.
    ///   - container: Fragmented MP4 or MPEG-TS.
    ///   - software: The program that the container names as its maker.
    ///   - declaresSynthetic: Whether it says that the video was made by a trained model.
    ///   - notice: One more sentence for the metadata's comment.
    public init(
        _ format: LiveFormat, container: LiveRequest.Container, software: String, declaresSynthetic: Bool = true,
        notice: String? = nil
    ) throws {
        var layout = container.layout
        layout.isInMemory = true
        if container == .mp4 {
            // The header at once; fragments where we say so, at the times that we say: nothing is shifted by the muxer, and the
            // sound's priming is part of the time, not of an edit list.
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

    /// What a reader gets before the first unit: the header of MP4; nothing in MPEG-TS.
    public func header() -> Data { muxer.take() }

    /// Adds the next unit; the first one has a key frame.
    ///
    /// - Returns: The bytes that are ready.
    public func write(_ unit: EncodedUnit) throws -> Data {
        let first = self.first ?? unit.index
        self.first = first
        let samplesPerUnit = format.rate / 25
        for sound in unit.sound {
            let start = sound.start - first * samplesPerUnit + priming
            // Of the sound before the first picture nothing is wanted.
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
            // The first fragment is one picture long: there is something to see at once.
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
