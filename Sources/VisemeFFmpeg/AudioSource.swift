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

    /// When the first packet that was decoded starts, in the stream's time unit.
    private(set) var firstTimestamp: Int64?
    /// The frame that `next()` decoded last.
    let frame: Frame
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
        guard rate > 0, channels > 0 else {
            throw VisemeError(.badData, "\(label) says it has \(rate) Hz and \(channels) channels")
        }
        let decoder = try Decoder(stream, label: label)
        let packet = try Packet()
        let frame = try Frame()
        let estimated = demuxer.context.pointee.duration_estimation_method == AVFMT_DURATION_FROM_BITRATE
        let unit = stream.pointee.time_base
        let format = text(demuxer.context.pointee.iformat.pointee.name)
        let packetAhead = try Packet()
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
        self.label = label
        self.codec = codec
        self.codecName = codecName
        self.rate = rate
        self.channels = channels
        streamIndex = index
    }

    /// The stream that is read.
    var stream: UnsafeMutablePointer<AVStream>? { demuxer.stream(streamIndex) }

    /// Decodes the next frame of sound.
    ///
    /// - Returns: Whether there is one; false at the end.
    mutating func next() throws -> Bool {
        while true {
            switch try decoder.receive(into: frame) {
            case .frame:
                if viseme_frame_is_damaged(frame.pointer) != 0 { damaged += 1 }
                let (samples, raw) = (frame.pointer.pointee.nb_samples, frame.pointer.pointee)
                guard samples > 0, raw.sample_rate > 0, raw.ch_layout.nb_channels > 0, raw.extended_data != nil,
                    try trim()
                else { continue }
                decoded += Int64(frame.pointer.pointee.nb_samples)
                return true
            case .damaged: damaged += 1
            case .ended: return false
            case .needsPacket: feed()
            }
        }
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
            if packet.pointee.stream_index == Int32(streamIndex) { return true }
        }
        return false
    }

    /// The error for sound without a sample.
    var emptiness: VisemeError {
        VisemeError(
            .badData, "\(label) (\(codecName)) holds no sample. \(warnings.joined(separator: " "))",
            hint: "the file is empty or damaged; play it to check")
    }

    /// What was survived so far, a sentence each.
    var warnings: [String] {
        var found: [String] = []
        if damaged > 0 { found.append("\(label): \(damaged) damaged packets were skipped or concealed.") }
        if let readFailure { found.append("\(label): reading stopped early: \(readFailure).") }
        if missingBytes > 0 { found.append("\(label) is truncated: its last \(missingBytes) bytes are missing.") }
        if atEnd, missingBytes == 0, let statedSeconds, rate > 0 {
            let held = Double(decoded) / Double(rate)
            if decoded > 0, statedSeconds - held > 0.1 {
                let (said, real) = (seconds(statedSeconds), seconds(held))
                found.append("\(label) is truncated: it says \(said) s and holds \(real) s.")
            }
        }
        return found
    }

    private func seconds(_ value: Double) -> String { String(format: "%.3f", value) }
}
