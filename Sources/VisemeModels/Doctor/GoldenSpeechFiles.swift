import Foundation
import Viseme

/// The golden files of the stages before the networks.
struct GoldenSpeechFiles {
    let golden: AvatarManifest.GoldenSpeech
    let samples: [Float]
    let melWindows: [Float]
    let featureWindow: [Float]
    let roi: [UInt8]

    init(_ golden: AvatarManifest.GoldenSpeech, of avatar: Avatar) throws {
        self.golden = golden
        samples = try FeatureDump(at: avatar.member(golden.samples)).values
        melWindows = try FeatureDump(at: avatar.member(golden.melWindows)).values
        featureWindow = try FeatureDump(at: avatar.member(golden.featureWindow)).values
        roi = [UInt8](try Data(contentsOf: avatar.member(golden.roi)))
        guard (0..<avatar.manifest.frames).contains(golden.templateFrame) else {
            throw VisemeError(
                .badData,
                "avatar.json: \"goldenSpeech\" names the template frame \(golden.templateFrame) of \(avatar.manifest.frames)."
            )
        }
        guard samples.count <= 60 * avatar.family.mel.sampleRate else {
            throw VisemeError(.badData, "'\(golden.samples)' has \(samples.count) samples, expected at most a minute.")
        }
    }
}
