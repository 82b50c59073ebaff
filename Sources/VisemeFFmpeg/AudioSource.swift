import CFFmpeg
import Foundation
import Viseme

/// The sound of a file, decoded frame by frame at its own rate.
struct AudioSource: ~Copyable {
    private let demuxer: Demuxer
    private let decoder: Decoder
    private let packet: Packet
    private let streamIndex: Int
    private var atEnd = false
    private var damaged = 0
    private var decoded: Int64 = 0
    private var readFailure: String?

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
    /// - Throws: `.noInput`, `.badData` (no sound; the message names the streams found), `.unavailable` (no decoder).
    init(_ url: URL) throws {
        let demuxer = try Demuxer(url, as: "Speech")
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
        let duration = stream.pointee.duration
        let known = !estimated && duration != viseme_no_timestamp() && duration > 0 && unit.den > 0
        statedSeconds = known ? Double(duration) * Double(unit.num) / Double(unit.den) : nil
        self.demuxer = demuxer
        self.decoder = decoder
        self.packet = packet
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
                guard samples > 0, raw.sample_rate > 0, raw.ch_layout.nb_channels > 0, raw.extended_data != nil else {
                    continue
                }
                decoded += Int64(samples)
                return true
            case .damaged: damaged += 1
            case .ended: return false
            case .needsPacket: feed()
            }
        }
    }

    /// Reads packets until one can be given to the decoder, or says that the end came.
    private mutating func feed() {
        guard !atEnd else { return decoder.sendEnd() }
        while true {
            let status = demuxer.read(into: packet)
            guard status >= 0 else {
                atEnd = true
                if status != viseme_error_end() { readFailure = reason(of: status) }
                return decoder.sendEnd()
            }
            guard packet.pointer.pointee.stream_index == Int32(streamIndex) else { continue }
            if decoder.send(packet) { return }
            damaged += 1
        }
    }

    /// Reads the next packet without decoding it.
    ///
    /// - Returns: Whether there is one; false at the end.
    mutating func nextPacket(into packet: borrowing Packet) -> Bool {
        while !atEnd {
            let status = demuxer.read(into: packet)
            guard status >= 0 else {
                atEnd = true
                if status != viseme_error_end() { readFailure = reason(of: status) }
                return false
            }
            if packet.pointer.pointee.stream_index == Int32(streamIndex) { return true }
        }
        return false
    }

    /// What was survived so far, a sentence each.
    var warnings: [String] {
        var found: [String] = []
        if damaged > 0 { found.append("\(label): \(damaged) damaged packets were skipped or concealed.") }
        if let readFailure { found.append("\(label): reading stopped early: \(readFailure).") }
        if atEnd, let statedSeconds, rate > 0 {
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
