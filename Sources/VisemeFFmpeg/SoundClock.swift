import CFFmpeg
import Foundation

/// Compares timestamps with the decoded samples to find gaps in the sound.
///
/// The samples are the clock for video and audio. Timestamps that drift slowly against the samples (1 % is common in recordings)
/// are ignored; a jump is a gap and is filled with silence.
struct SoundClock {
    /// The longest gap in seconds; a longer jump is a change of the clock.
    private static let longest = 600.0

    /// The ignored deviation of the timestamps from the samples, in seconds.
    private var baseline: Double?
    private var last = 0.0
    private var elapsed = 0.0
    private var length = 0.0
    private var gaps = 0
    private var filled = 0.0
    private var closed = 0

    /// The number of missing samples before a frame.
    mutating func gap(before frame: borrowing AVFrameBox, unit: AVRational) -> Int64 {
        let raw = frame.pointer.pointee
        let rate = Double(raw.sample_rate)
        let before = length
        length = Double(raw.nb_samples) / rate
        defer { elapsed += length }
        guard raw.pts != viseme_no_timestamp(), unit.num > 0, unit.den > 0 else { return 0 }
        let deviation = Double(raw.pts) * Double(unit.num) / Double(unit.den) - elapsed
        let step = deviation - last
        last = deviation
        guard let base = baseline else {
            baseline = deviation
            return 0
        }
        // Timestamps are rounded, to a millisecond in some containers.
        guard abs(step) > max(before / 2, 0.01) else {
            baseline = base + step
            return 0
        }
        let missing = deviation - base
        guard missing > max(before / 2, 0.01) else { return 0 }
        guard missing <= Self.longest else {
            closed += 1
            baseline = deviation
            return 0
        }
        gaps += 1
        filled += missing
        elapsed += missing
        last = base
        return Int64((missing * rate).rounded())
    }

    /// The warnings, one sentence each.
    func warnings(_ label: String, rate: Int) -> [String] {
        var found: [String] = []
        if gaps > 0 {
            let seconds = filled >= 0.1 ? String(format: "%.2f s", filled) : String(format: "%.0f ms", filled * 1000)
            found.append("\(label): \(gaps) gaps in its sound, \(seconds) in all, were filled with silence.")
        }
        if closed > 0 { found.append("\(label): \(closed) jumps of its clock by more than 600 s were closed.") }
        return found
    }
}
