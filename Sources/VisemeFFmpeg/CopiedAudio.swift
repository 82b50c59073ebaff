import CFFmpeg
import Foundation
import Viseme

/// Copies the original sound's packets unchanged.
struct CopiedAudio: ~Copyable {
    private var source: AudioSource
    private let packet: Packet
    private let packetAhead: Packet
    private var hasPacketAhead = false
    private let isMatroska: Bool
    private let padsItsEnd: Bool
    private let unit: AVRational
    /// Subtracted from every timestamp, so that the first audible sample is at 0.
    private let shift: Int64
    /// The time of the first audible sample in the output: 0, except for Opus in Matroska.
    private let lead: Int64
    /// Samples in the packets before the first audible sample.
    private let priming: Int32
    private var expected: Int64?
    private var lastWritten: Int64?
    private var end: Int64 = 0
    /// The duration of the previous packet.
    private var usual: Int64 = 0
    private var ended = false

    /// Opens the sound and finds its first audible sample.
    ///
    /// - Parameter url: A file, not a pipe: it is opened twice.
    init(_ url: URL, into container: Container) throws {
        // Decoding finds the start of the sound, after the encoder's priming.
        var trial = try AudioSource(url)
        let first = try trial.next() ? trial.frame.pointer.pointee.pts : viseme_no_timestamp()
        let begin = trial.firstTimestamp ?? first
        let source = try AudioSource(url)
        let packet = try Packet()
        let packetAhead = try Packet()
        guard let stream = source.stream else { throw VisemeError(.internal, "\(source.label) lost its stream") }
        let unit = stream.pointee.time_base
        guard unit.num > 0, unit.den > 0 else { throw VisemeError(.badData, "\(source.label) has no time unit") }
        let isPrimed = first != viseme_no_timestamp() && begin != viseme_no_timestamp() && begin < first
        let padding = isPrimed ? av_rescale(first &- begin, Int64(source.rate) * Int64(unit.num), Int64(unit.den)) : 0
        let isMatroska = container == .mkv
        // More hidden samples than any encoder's priming come from an edit list. Matroska would play them.
        guard !isMatroska || Int(padding) <= Self.longestPriming else {
            throw VisemeError(.unsupported, "\(source.label) hides \(padding) samples at its beginning")
        }
        padsItsEnd = Self.codecsOfFixedFrames.contains(source.codec.rawValue)
        // libavformat up to 59 writes Opus's delay into Matroska and does not move the timestamps by it, as readers expect.
        let isEarly = isMatroska && source.codec == AV_CODEC_ID_OPUS && LIBAVFORMAT_VERSION_MAJOR <= 59
        shift = first == viseme_no_timestamp() ? 0 : isEarly && isPrimed ? begin : first
        lead = isEarly && isPrimed ? first &- begin : 0
        self.source = source
        self.packet = packet
        self.packetAhead = packetAhead
        self.isMatroska = isMatroska
        self.unit = unit
        priming = Int32(clamping: padding)
    }

    /// The longest priming in samples: Opus has 80 ms at 48 kHz and some more.
    private static let longestPriming = 5000

    /// Codecs whose last packet is padded to the length of the others.
    static let codecsOfFixedFrames = Set(
        [
            AV_CODEC_ID_AAC, AV_CODEC_ID_MP3, AV_CODEC_ID_MP2, AV_CODEC_ID_OPUS, AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3,
        ].map(\.rawValue))

    /// Seconds of sound written.
    var seconds: Double { time(end &- lead) }

    /// A description of the sound, for the report.
    var summary: String { "copied \(source.codecName)" }

    /// Adds the stream to a container.
    func addStream(to muxer: borrowing Muxer) throws {
        guard let parameters = source.stream?.pointee.codecpar else {
            throw VisemeError(.internal, "\(source.label) lost its stream")
        }
        let stream = try muxer.addStream(unit: unit) { avcodec_parameters_copy($0, parameters) }
        stream.pointee.codecpar.pointee.initial_padding = priming
    }

    /// Writes the packets that start before a time in seconds.
    mutating func advance(to limit: Double, into muxer: borrowing Muxer) throws {
        while !ended, seconds < limit {
            // One packet is read ahead to detect the last packet.
            if !hasPacketAhead { hasPacketAhead = source.nextPacket(into: packetAhead.pointer) }
            guard hasPacketAhead else {
                ended = true
                return
            }
            packet.clear()
            av_packet_move_ref(packet.pointer, packetAhead.pointer)
            hasPacketAhead = source.nextPacket(into: packetAhead.pointer)
            try write(isLast: !hasPacketAhead, into: muxer)
        }
    }

    private mutating func write(isLast: Bool, into muxer: borrowing Muxer) throws {
        let raw = packet.pointer
        var length = max(0, raw.pointee.duration)
        if length == 0, let parameters = source.stream?.pointee.codecpar {
            let samples = av_get_audio_frame_duration2(parameters, raw.pointee.size)
            length = rescale(Int64(samples), from: Int64(source.rate))
        }
        // Only sound without gaps is copied (`SoundScan`): the timestamps follow the samples.
        let start = raw.pointee.pts != viseme_no_timestamp() ? raw.pointee.pts &- shift : expected ?? 0
        expected = start &+ length
        let padding = rescale(Int64(viseme_packet_padding(raw)), from: Int64(source.rate))
        if padding > 0, length > 0 {
            // Some demuxers shorten the last packet already.
            length = min(length, max(usual, length) - padding)
            guard length > 0 else { return }
        }
        let missing = av_rescale(usual - length, Int64(source.rate) * Int64(unit.num), Int64(unit.den))
        if isLast, isMatroska, padsItsEnd, missing > 1, padding == 0 {
            // The only way for Matroska to store the length of the last packet.
            try check(
                viseme_packet_set_padding(raw, UInt32(clamping: missing)),
                Purpose(.internal, "\(source.label): no memory"))
        }
        usual = length
        raw.pointee.pts = start
        if let lastWritten, start <= lastWritten { raw.pointee.pts = lastWritten + 1 }
        raw.pointee.dts = raw.pointee.pts
        raw.pointee.duration = length
        lastWritten = raw.pointee.pts
        end = max(end, start &+ length)
        try muxer.write(packet, to: Muxer.audioStream, unit: unit)
    }

    private func time(_ value: Int64) -> Double { Double(value) * Double(unit.num) / Double(unit.den) }

    private func rescale(_ samples: Int64, from rate: Int64) -> Int64 {
        av_rescale(max(0, samples), Int64(unit.den), max(1, rate * Int64(unit.num)))
    }
}
