import CFFmpeg
import Foundation
import Viseme

/// The sound of a file, decoded frame by frame at its own rate.
struct AudioSource: ~Copyable {
    private let demuxer: Demuxer
    private let decoder: Decoder
    private let packet: Packet
    private let packetAhead: Packet
    private let streamIndex: Int
    private let unit: AVRational
    private let format: String
    private let isPipe: Bool
    /// Bytes that a WAV header states beyond the end of the file.
    private let wave: WaveHeader?
    /// Samples of Matroska's CodecDelay that are still to be dropped.
    private var priming: Int64
    private var isStarted = false
    private var hasPacketAhead = false
    private var isLastPacket = false
    private var atEnd = false
    private var damaged = 0
    private var decoded: Int64 = 0
    private var readFailure: String?
    private var packets = 0
    /// The number of packets that an MP4 file states; 0 if it states none.
    private let statedPackets: Int
    private var clock = SoundClock()
    private var repair = SampleRepair()
    /// Samples of silence still to be emitted before the held frame.
    private var gap: Int64 = 0
    private let held: AVFrameBox

    /// The start of the first decoded packet, in the stream's time base.
    private(set) var firstTimestamp: Int64?
    /// The frame that `next()` decoded last.
    let frame: AVFrameBox
    /// The name of the file in messages.
    let label: String
    /// The codec's id.
    let codec: AVCodecID
    /// The codec's name.
    let codecName: String
    /// The container's sample rate in Hz.
    let rate: Int
    /// The container's number of channels.
    let channels: Int
    /// The container's duration in seconds; nil when it is an estimate.
    let statedSeconds: Double?

    /// Opens the best audio stream of a file.
    ///
    /// - Parameter kind: How the file is read.
    /// - Throws: `.noInput`, `.badData` (no sound; the message names the streams), `.unavailable` (no decoder).
    init(_ url: URL, kind: Demuxer.InputKind = .file) throws {
        let demuxer = try Demuxer(url, as: "Speech", kind: kind)
        let label = "Speech '\(demuxer.name)'"
        guard let index = demuxer.select(AVMEDIA_TYPE_AUDIO), let stream = demuxer.stream(index),
            let parameters = stream.pointee.codecpar
        else {
            throw VisemeError(
                .badData, "\(label) has no sound; found: \(demuxer.describeStreams())",
                hint: "give a file with an audio stream")
        }
        let codec = parameters.pointee.codec_id
        let codecName = VisemeFFmpeg.codecName(codec)
        let rate = Int(parameters.pointee.sample_rate)
        let channels = Int(parameters.pointee.ch_layout.nb_channels)
        try Self.require(rate: rate, channels: channels, label: label)
        let decoder = try Decoder(stream, label: label)
        let packet = try Packet()
        let frame = try AVFrameBox()
        let estimated = demuxer.context.pointee.duration_estimation_method == AVFMT_DURATION_FROM_BITRATE
        let unit = stream.pointee.time_base
        let format = text(demuxer.context.pointee.iformat.pointee.name)
        let packetAhead = try Packet()
        let held = try AVFrameBox()
        let duration = stream.pointee.duration
        let known = !estimated && duration != viseme_no_timestamp() && duration > 0 && unit.den > 0
        statedSeconds = known ? Double(duration) * Double(unit.num) / Double(unit.den) : nil
        self.demuxer = demuxer
        self.decoder = decoder
        self.packet = packet
        self.packetAhead = packetAhead
        self.unit = unit
        self.format = format
        // Opus is different: its decoder drops the priming itself.
        let isPrimed = format.contains("matroska") && codec != AV_CODEC_ID_OPUS
        priming = isPrimed ? Int64(max(0, parameters.pointee.initial_padding)) : 0
        wave = format == "wav" && url.isFileURL ? WaveHeader(url) : nil
        self.frame = frame
        self.held = held
        isPipe = if case .file = kind { !url.isFileURL } else { true }
        statedPackets = Int(stream.pointee.nb_frames)
        self.label = label
        self.codec = codec
        self.codecName = codecName
        self.rate = rate
        self.channels = channels
        streamIndex = index
    }

    /// Refuses unusual rates: a few bytes at 10 Hz would become gigabytes at 16 kHz.
    private static func require(rate: Int, channels: Int, label: String) throws {
        guard (1000...768_000).contains(rate), (1...64).contains(channels) else {
            throw VisemeError(
                .badData,
                "\(label) has \(rate) Hz and \(channels) channels, expected 1000…768000 Hz and 1…64 channels")
        }
    }

    /// The selected stream.
    var stream: UnsafeMutablePointer<AVStream>? { demuxer.stream(streamIndex) }

    /// Decodes the next audio frame. Missing packets are replaced by frames of silence, so that later sound keeps its time.
    ///
    /// - Returns: False at the end.
    mutating func next() throws -> Bool {
        if let isSilence = try silence() { return isSilence }
        while true {
            switch try decoder.receive(into: frame) {
            case .frame:
                if viseme_frame_is_damaged(frame.pointer) != 0 { damaged += 1 }
                let (samples, raw) = (frame.pointer.pointee.nb_samples, frame.pointer.pointee)
                guard samples > 0, raw.sample_rate > 0, raw.ch_layout.nb_channels > 0, raw.extended_data != nil,
                    try trim()
                else { continue }
                try Self.require(
                    rate: Int(raw.sample_rate), channels: Int(raw.ch_layout.nb_channels), label: label)
                try repair.frame(frame)
                decoded += Int64(frame.pointer.pointee.nb_samples)
                gap = clock.gap(before: frame, unit: unit)
                if gap > 0 { av_frame_move_ref(held.pointer, frame.pointer) }
                return try silence() ?? true
            case .damaged: damaged += 1
            case .ended: return false
            case .needsPacket: feed()
            }
        }
    }

    /// Makes the next silent frame of a gap, or restores the frame after the gap.
    ///
    /// - Returns: nil when there is no gap.
    private mutating func silence() throws -> Bool? {
        guard held.pointer.pointee.nb_samples > 0 else { return nil }
        guard gap > 0 else {
            av_frame_unref(frame.pointer)
            av_frame_move_ref(frame.pointer, held.pointer)
            return true
        }
        let count = min(gap, Int64(held.pointer.pointee.sample_rate))
        gap -= count
        try frame.becomeSilence(like: held, count: Int(count))
        return true
    }

    /// Sends the next usable packet, or the end of the stream, to the decoder.
    private mutating func feed() {
        // MP4 needs one packet of read-ahead to detect the last packet.
        guard format.contains("mp4") else {
            while nextPacket(into: packet.pointer) {
                if firstTimestamp == nil { firstTimestamp = packet.pointer.pointee.pts }
                if decoder.send(packet) { return }
                damaged += 1
            }
            return decoder.sendEnd()
        }
        if !hasPacketAhead { hasPacketAhead = nextPacket(into: packetAhead.pointer) }
        while hasPacketAhead {
            packet.clear()
            av_packet_move_ref(packet.pointer, packetAhead.pointer)
            if firstTimestamp == nil { firstTimestamp = packet.pointer.pointee.pts }
            hasPacketAhead = nextPacket(into: packetAhead.pointer)
            isLastPacket = !hasPacketAhead
            if decoder.send(packet) { return }
            damaged += 1
        }
        decoder.sendEnd()
    }

    /// Removes encoder padding that libavcodec leaves in the decoded frame: the priming in Matroska, and the samples after the
    /// end of the last packet in MP4.
    ///
    /// - Returns: Whether samples remain.
    private mutating func trim() throws -> Bool {
        let raw = frame.pointer
        let rate = Int64(raw.pointee.sample_rate)
        let count = Int64(raw.pointee.nb_samples)
        guard unit.num > 0, unit.den > 0 else { return true }
        let time = raw.pointee.pts
        if !isStarted { findPriming(at: time, rate: rate) }
        isStarted = true
        if priming > 0 {
            let early = min(priming, count)
            priming -= early
            guard early < count else { return false }
            try frame.dropFirst(Int(early))
            if time != viseme_no_timestamp() {
                raw.pointee.pts = time &+ av_rescale(early, Int64(unit.den), max(1, rate * Int64(unit.num)))
            }
        } else if isLastPacket, format.contains("mp4") {
            let tick = rate * Int64(unit.num) / Int64(unit.den)
            let length = av_rescale(max(0, viseme_frame_duration(raw)), rate * Int64(unit.num), Int64(unit.den))
            if length > 0, count - length > tick { raw.pointee.nb_samples = Int32(length) }
        }
        return true
    }

    /// Corrects the priming at the first decoded frame.
    private mutating func findPriming(at time: Int64, rate: Int64) {
        guard format.contains("matroska"), codec != AV_CODEC_ID_OPUS, time != viseme_no_timestamp() else { return }
        let (scale, second) = (rate * Int64(unit.num), Int64(unit.den))
        // Older versions of libavformat report it only as negative timestamps.
        priming = max(priming, av_rescale(max(0, -max(time, -second)), scale, second))
        // Newer versions may have dropped it: then the frame starts later than its packet.
        if let firstTimestamp { priming -= min(priming, av_rescale(max(0, time &- firstTimestamp), scale, second)) }
    }

    /// Reads the next packet without decoding it.
    ///
    /// - Returns: False at the end.
    mutating func nextPacket(into packet: UnsafeMutablePointer<AVPacket>) -> Bool {
        while !atEnd {
            let status = demuxer.read(into: packet)
            guard status >= 0 else {
                atEnd = true
                if status != viseme_error_end() { readFailure = reason(of: status) }
                return false
            }
            if packet.pointee.stream_index == Int32(streamIndex) {
                packets += 1
                return true
            }
        }
        return false
    }

    /// The error for a file without samples.
    var emptiness: VisemeError {
        if isPipe, format.contains("mp4") {
            return VisemeError(
                .badData, "\(label) has its index at its end, and a pipe cannot seek",
                hint: "give the file by its name, or rewrite it: ffmpeg -i IN.m4a -c copy -movflags +faststart OUT.m4a")
        }
        return VisemeError(
            .badData, "\(label) (\(codecName)) holds no sample. \(warnings.joined(separator: " "))",
            hint: "the file is empty or damaged; play it to check")
    }

    /// Recoverable problems so far, one sentence each.
    var warnings: [String] {
        var found: [String] = []
        if damaged > 0 { found.append("\(label): \(damaged) damaged packets were skipped or concealed.") }
        if let readFailure { found.append("\(label): reading stopped early: \(readFailure).") }
        if let missing = wave?.missingBytes, missing > 0 {
            found.append("\(label) is truncated: its last \(missing) bytes are missing.")
        }
        if wave?.isFollowed == true {
            found.append("\(label) holds several WAV files one after the other: only the first is used.")
        }
        found += repair.warnings(label) + clock.warnings(label, rate: rate)
        if isTruncated {
            let held = String(format: "%.3f", Double(decoded) / Double(rate))
            found.append("\(label) is truncated: it holds \(held) s of the stated \(statedText).")
        }
        return found
    }

    private var statedText: String {
        statedSeconds.map { String(format: "%.3f s", $0) } ?? "\(statedPackets) packets"
    }

    /// Whether the container states more sound than there is. False where its duration is an estimate or includes padding: an
    /// MP3's duration includes its priming, and a fragment's may be its broadcast time.
    private var isTruncated: Bool {
        guard atEnd, wave?.missingBytes ?? 0 == 0, decoded > 0, rate > 0 else { return false }
        if format.contains("mp4") { return statedPackets > 0 && packets < statedPackets }
        guard let statedSeconds, !["wav", "mp3", "aac"].contains(format) else { return false }
        let start = firstTimestamp.map {
            $0 == viseme_no_timestamp() ? 0 : Double($0) * Double(unit.num) / Double(unit.den)
        }
        return statedSeconds - Double(decoded) / Double(rate) - max(0, start ?? 0) > 0.1
    }
}
