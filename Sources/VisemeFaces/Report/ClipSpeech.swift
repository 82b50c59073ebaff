import Foundation
import Viseme

/// What is heard in a clip: the feature window of every frame, its level, and whether somebody speaks.
struct ClipSpeech: Sendable {
    /// Longer clips are read so far, in seconds.
    static let longest = 600
    /// Speech is at most this much below the loud parts, in dB, and above this level.
    private static let range = 25.0, least = -58.0

    let featureWindows: [[Float]]
    let isSpeaking: [Bool]
    let warnings: [String]

    /// Hears a clip.
    ///
    /// - Parameter delay: Seconds by which the sound is moved; negative: earlier.
    init(
        _ speech: any SpeechReader, delay: Double, family: GeneratorFamily, choice: FeatureWindow.Choice,
        encoder: any AudioEncoder
    ) async throws {
        let rate = family.mel.sampleRate
        var samples: [Float] = []
        while samples.count < Self.longest * rate, let more = try await speech.read() { samples += more }
        let shift = Int((delay * Double(rate)).rounded())
        if shift > 0 {
            samples = [Float](repeating: 0, count: shift) + samples
        } else if shift < 0 {
            samples.removeFirst(min(samples.count - 1, -shift))
        }
        var timeline = SpeechTimeline(family, choice: choice)
        timeline.append(samples)
        timeline.finish()
        var windows: [[Float]] = []
        while true {
            try Task.checkCancellation()
            let (melWindows, count) = timeline.takeMelWindows(limit: 16)
            guard count > 0 else { break }
            timeline.accept(rows: try await encoder.encode(melWindows, count: count))
            while let job = timeline.nextFrame() { windows.append(job.featureWindow) }
        }
        while let job = timeline.nextFrame() { windows.append(job.featureWindow) }
        featureWindows = windows
        isSpeaking = Self.speaking(samples, samplesPerFrame: family.samplesPerFrame, frames: windows.count)
        warnings = await speech.warnings
    }

    static func speaking(_ samples: [Float], samplesPerFrame: Int, frames: Int) -> [Bool] {
        let levels = (0..<frames).map { frame -> Double in
            var sum = 0.0
            for i in frame * samplesPerFrame..<(frame + 1) * samplesPerFrame where i < samples.count {
                sum += Double(samples[i]) * Double(samples[i])
            }
            return 10 * log10(sum / Double(samplesPerFrame) + 1e-10)
        }
        let limit = max(levels.percentile(95) - range, least)
        return levels.indices.map { k in
            levels[max(0, k - 2)...min(levels.count - 1, k + 2)].contains { $0 > limit }
        }
    }
}
