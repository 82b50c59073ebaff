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
    /// Bytes that a WAV header promises beyond the end of the file.
    private let missingBytes: Int
    /// Samples that Matroska's CodecDelay says come before the sound and that are still to be dropped.
    private var priming: Int64
    private var isStarted = false
    private var hasPacketAhead = false
    private var isLastPacket = false
    private var atEnd = false
    private var damaged = 0
    private var decoded: Int64 = 0
    private var readFailure: String?
    private var packets = 0
    /// Packets that an MP4 file says it has; 0 where it does not say.
    private let statedPackets: Int
    private var clock = SoundClock()
    private var repair = SampleRepair()
    /// Samples of silence that are still to come before the frame that is held.
    private var gap: Int64 = 0
    private let held: AVFrameBox

    /// When the first packet that was decoded starts, in the stream's time unit.
    private(set) var firstTimestamp: Int64?
    /// The frame that `next()` decoded last.
    let frame: AVFrameBox
    /// The file in messages.
    let label: String
    /// The codec's number.
    let codec: AVCodecID
    /// The codec's name.
    let codecName: String
    /// Samples a second as the container says.
    let rate: Int
    /// Channels as the container says.
    let channels: Int
    /// Seconds as the container says, or nil when it only estimates them.
    let statedSeconds: Double?

    /// Opens the best audio stream of a file.
    ///
    /// - Parameter manner: How it is read.
    /// - Throws: `.noInput`, `.badData` (no sound; the message names the streams found), `.unavailable` (no decoder).
    init(_ url: URL, manner: Demuxer.Manner = .file) throws {
        let demuxer = try Demuxer(url, as: "Speech", manner: manner)
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
        missingBytes = format == "wav" && url.isFileURL ? WaveHeader.missingBytes(url) : 0
        self.frame = frame
        self.held = held
        isPipe = if case .file = manner { !url.isFileURL } else { true }
        statedPackets = Int(stream.pointee.nb_frames)
        self.label = label
        self.codec = codec
        self.codecName = codecName
        self.rate = rate
        self.channels = channels
        streamIndex = index
    }

    /// Refuses what nobody records speech with: a few bytes at 10 Hz would become gigabytes at 16 kHz.
    private static func require(rate: Int, channels: Int, label: String) throws {
        guard (1000...768_000).contains(rate), (1...64).contains(channels) else {
            throw VisemeError(
                .badData,
                "\(label) says it has \(rate) Hz and \(channels) channels, expected 1000…768000 Hz and 1…64 channels")
        }
    }

    /// The stream that is read.
    var stream: UnsafeMutablePointer<AVStream>? { demuxer.stream(streamIndex) }

    /// Decodes the next frame of sound. Where packets are missing there are frames of silence, so that what follows comes at its
    /// time.
    ///
    /// - Returns: Whether there is one; false at the end.
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

    /// Makes the next frame of a gap's silence, or gives the frame behind the gap.
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

    /// Reads packets until one can be given to the decoder, or says that the end came.
    private mutating func feed() {
        // In MP4 one packet is read ahead, to know which one is the last; elsewhere it would only cost time.
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

    /// Takes an encoder's padding off the decoded frame where libavcodec leaves it: the priming in Matroska, and what
    /// comes after the end of the last packet in MP4.
    ///
    /// - Returns: Whether anything is left of the frame.
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
        // Older versions of libavformat tell it by times before 0 only.
        priming = max(priming, av_rescale(max(0, -max(time, -second)), scale, second))
        // Newer versions may have dropped it: then the frame starts later than its packet.
        if let firstTimestamp { priming -= min(priming, av_rescale(max(0, time &- firstTimestamp), scale, second)) }
    }

    /// Reads the next packet without decoding it.
    ///
    /// - Returns: Whether there is one; false at the end.
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

    /// The error for sound without a sample.
    var emptiness: VisemeError {
        if isPipe, format.contains("mp4") {
            return VisemeError(
                .badData, "\(label) has its index at its end, and a pipe cannot go back to its beginning",
                hint: "give the file by its name, or rewrite it: ffmpeg -i IN.m4a -c copy -movflags +faststart OUT.m4a")
        }
        return VisemeError(
            .badData, "\(label) (\(codecName)) holds no sample. \(warnings.joined(separator: " "))",
            hint: "the file is empty or damaged; play it to check")
    }

    /// What was survived so far, a sentence each.
    var warnings: [String] {
        var found: [String] = []
        if damaged > 0 { found.append("\(label): \(damaged) damaged packets were skipped or concealed.") }
        if let readFailure { found.append("\(label): reading stopped early: \(readFailure).") }
        if missingBytes > 0 { found.append("\(label) is truncated: its last \(missingBytes) bytes are missing.") }
        found += repair.warnings(label) + clock.warnings(label, rate: rate)
        if isTruncated {
            let held = String(format: "%.3f", Double(decoded) / Double(rate))
            found.append("\(label) is truncated: it holds \(held) s of the \(statedText) that it promises.")
        }
        return found
    }

    private var statedText: String {
        statedSeconds.map { String(format: "%.3f s", $0) } ?? "\(statedPackets) packets"
    }

    /// Whether the container promises more sound than there is. Where its promise is an estimate, or counts what is not heard,
    /// nothing is said: the length of an MP3 counts its priming, and that of a fragment may be the time of its broadcast.
    private var isTruncated: Bool {
        guard atEnd, missingBytes == 0, decoded > 0, rate > 0 else { return false }
        if format.contains("mp4") { return statedPackets > 0 && packets < statedPackets }
        guard let statedSeconds, !["wav", "mp3", "aac"].contains(format) else { return false }
        let start = firstTimestamp.map {
            $0 == viseme_no_timestamp() ? 0 : Double($0) * Double(unit.num) / Double(unit.den)
        }
        return statedSeconds - Double(decoded) / Double(rate) - max(0, start ?? 0) > 0.1
    }
}
