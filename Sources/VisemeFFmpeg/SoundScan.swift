import CFFmpeg
import Foundation
import Viseme

/// Scans a file's audio packets to decide whether they can be copied: their timestamps must match their samples.
struct SoundScan {
    /// Why the sound must be re-encoded; nil when it can be copied.
    private(set) var obstacle: String?

    /// The most deviation of the timestamps from the samples in seconds; it is not noticeable.
    private static let tolerance = 0.02

    /// Reads all packets.
    init(_ url: URL) throws {
        var reader = try AudioSource(url)
        guard let stream = reader.stream, let parameters = stream.pointee.codecpar else { return }
        let unit = stream.pointee.time_base
        guard unit.num > 0, unit.den > 0 else { return }
        let scale = Double(unit.num) / Double(unit.den)
        let packet = try Packet()
        let isFloat = [AV_CODEC_ID_PCM_F32LE, AV_CODEC_ID_PCM_F64LE].contains(reader.codec)
        let isCounted =
            CopiedAudio.codecsOfFixedFrames.contains(reader.codec.rawValue) || reader.codecName.hasPrefix("pcm_")
        var first: Double?
        var sum = 0.0
        var suspect: String?
        while reader.nextPacket(into: packet.pointer) {
            let raw = packet.pointer.pointee
            if isFloat, Self.hasStrangeSample(raw, isDouble: reader.codec == AV_CODEC_ID_PCM_F64LE) {
                obstacle = "it has samples that are NaN, infinite or far beyond full scale"
                return
            }
            // The codec's count first: a container may round durations to milliseconds.
            let samples = isCounted ? av_get_audio_frame_duration2(parameters, raw.size) : 0
            var length = Double(samples) / Double(max(1, reader.rate))
            if length <= 0 { length = Double(max(0, raw.duration)) * scale }
            if reader.codec == AV_CODEC_ID_VORBIS, raw.pts != viseme_no_timestamp() {
                // Its demuxer estimates durations around a change of block size. The timestamps are used, up to the longest block
                // of 8192 samples.
                let step = Double(raw.pts) * scale - (first ?? Double(raw.pts) * scale) - sum
                if step > 0, step <= 8192 / Double(max(1, reader.rate)) { sum += step }
            }
            defer { sum += length }
            guard raw.pts != viseme_no_timestamp(), length > 0 else { continue }
            let time = Double(raw.pts) * scale
            let begin = first ?? time
            first = begin
            guard abs(time - begin - sum) > max(Self.tolerance, length / 2) else {
                suspect = nil
                continue
            }
            // The last packet may have the timestamp of its end.
            if let suspect {
                obstacle = suspect
                return
            }
            let difference = Int((time - begin - sum) * 1000)
            suspect = "at \(String(format: "%.3f", sum)) s its timestamps and samples differ by \(difference) ms"
        }
    }

    private static func hasStrangeSample(_ packet: AVPacket, isDouble: Bool) -> Bool {
        guard let data = packet.data else { return false }
        let bytes = UnsafeRawBufferPointer(start: data, count: Int(packet.size))
        func isStrange(_ value: Double) -> Bool { !(abs(value) <= 8) }
        if isDouble {
            return stride(from: 0, through: bytes.count - 8, by: 8).contains {
                isStrange(
                    Double(bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self))))
            }
        }
        return stride(from: 0, through: bytes.count - 4, by: 4).contains {
            isStrange(
                Double(
                    Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self)))))
        }
    }
}
