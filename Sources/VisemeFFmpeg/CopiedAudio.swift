import CFFmpeg
import Foundation
import Viseme

/// The original sound, packet by packet as it is.
struct CopiedAudio: ~Copyable {
    private var source: AudioSource
    private let packet: Packet
    private let unit: AVRational
    /// What is taken off every timestamp: the first sample that one hears is at 0.
    private var shift: Int64
    private var expected: Int64?
    private var lastWritten: Int64?
    private var end: Int64 = 0
    private var gaps = 0
    private var ended = false

    /// Opens the sound and finds out where its first sample is.
    ///
    /// - Parameter url: A file; it is opened twice, so a pipe will not do.
    init(_ url: URL) throws {
        // Decoding tells where the sound begins: encoders put some priming before it.
        var trial = try AudioSource(url)
        let first = try trial.next() ? trial.frame.pointer.pointee.pts : viseme_no_timestamp()
        let source = try AudioSource(url)
        let packet = try Packet()
        guard let stream = source.stream else { throw VisemeError(.internal, "\(source.label) lost its stream") }
        let unit = stream.pointee.time_base
        guard unit.num > 0, unit.den > 0 else { throw VisemeError(.badData, "\(source.label) has no time unit") }
        self.source = source
        self.packet = packet
        self.unit = unit
        shift = first == viseme_no_timestamp() ? 0 : first
    }

    /// Seconds of sound written.
    var seconds: Double { time(end) }

    /// How the sound is carried, for the report.
    var summary: String { "copied \(source.codecName)" }

    /// What was noticed.
    var notes: [String] {
        gaps > 0 ? ["\(source.label): \(gaps) jumps in its timestamps were closed, as for the mouth."] : []
    }

    /// Adds the stream to a container.
    func addStream(to muxer: borrowing Muxer) throws {
        guard let parameters = source.stream?.pointee.codecpar else {
            throw VisemeError(.internal, "\(source.label) lost its stream")
        }
        let stream = try muxer.addStream(unit: unit) { avcodec_parameters_copy($0, parameters) }
        stream.pointee.codecpar.pointee.codec_tag = 0
    }

    /// Writes the packets that start before a time in seconds.
    mutating func advance(to limit: Double, into muxer: borrowing Muxer) throws {
        while !ended, seconds < limit {
            guard source.nextPacket(into: packet) else {
                ended = true
                return
            }
            try write(into: muxer)
        }
    }

    private mutating func write(into muxer: borrowing Muxer) throws {
        let raw = packet.pointer
        var length = max(0, raw.pointee.duration)
        if length == 0, let parameters = source.stream?.pointee.codecpar {
            let samples = av_get_audio_frame_duration2(parameters, raw.pointee.size)
            length = rescale(Int64(samples), from: Int64(source.rate))
        }
        var start = expected ?? 0
        if raw.pointee.pts != viseme_no_timestamp() {
            start = raw.pointee.pts &- shift
            let tolerance = max(length &* 2, Int64(Double(unit.den) / Double(unit.num) / 10))
            if let expected, abs(time(start) - time(expected)) > time(tolerance) {
                gaps += 1
                shift = raw.pointee.pts &- expected
                start = expected
            }
        }
        expected = start &+ length
        let padding = rescale(Int64(viseme_packet_padding(raw)), from: Int64(source.rate))
        guard padding < length || length == 0 else { return }
        length -= padding
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
