import CFFmpeg
import Foundation

/// Replaces samples that are not finite or far beyond full scale, which encoders do not accept.
struct SampleRepair {
    /// 18 dB over full scale.
    private static let largest = 8.0

    private var replaced = 0
    private var first: (sample: Int64, rate: Int32)?
    private var position: Int64 = 0

    /// Repairs a decoded frame in place.
    mutating func frame(_ frame: borrowing AVFrameBox) throws {
        let raw = frame.pointer.pointee
        defer { position += Int64(raw.nb_samples) }
        switch av_get_packed_sample_fmt(AVSampleFormat(raw.format)) {
        case AV_SAMPLE_FMT_FLT: try scan(frame, Float.self, Float(Self.largest))
        case AV_SAMPLE_FMT_DBL: try scan(frame, Double.self, Self.largest)
        default: return
        }
    }

    private mutating func scan<Sample: BinaryFloatingPoint>(
        _ frame: borrowing AVFrameBox, _: Sample.Type, _ largest: Sample
    ) throws {
        let raw = frame.pointer.pointee
        let isPlanar = av_sample_fmt_is_planar(AVSampleFormat(raw.format)) != 0
        let channels = Int(raw.ch_layout.nb_channels)
        let stride = isPlanar ? 1 : channels
        let count = Int(raw.nb_samples) * stride
        for plane in 0..<(isPlanar ? channels : 1) {
            func values() -> UnsafeMutableBufferPointer<Sample>? {
                guard let bytes = frame.pointer.pointee.extended_data?[plane] else { return nil }
                return UnsafeMutableBufferPointer(
                    start: UnsafeMutableRawPointer(bytes).assumingMemoryBound(to: Sample.self), count: count)
            }
            guard let found = values()?.firstIndex(where: { !(abs($0) <= largest) }) else { continue }
            try frame.makeWritable()
            guard let samples = values() else { continue }
            let sample = position + Int64(found / stride)
            if sample < first?.sample ?? Int64.max { first = (sample, raw.sample_rate) }
            for i in found..<count where !(abs(samples[i]) <= largest) {
                replaced += 1
                samples[i] = samples[i].isFinite ? (samples[i] < 0 ? -largest : largest) : 0
            }
        }
    }

    /// Notes for the report.
    func warnings(_ label: String) -> [String] {
        guard let first else { return [] }
        let seconds = String(format: "%.3f", Double(first.sample) / Double(first.rate))
        return [
            "\(label): \(replaced) samples are NaN, infinite or far beyond full scale, the first is sample "
                + "\(first.sample) at \(seconds) s; they were replaced."
        ]
    }
}
