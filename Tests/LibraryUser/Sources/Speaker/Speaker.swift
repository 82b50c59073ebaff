import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// `Speaker PACK SPEECH`: draws a speech with the engine alone and says how many frames there were.
@main
struct Speaker {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else { return print("usage: Speaker PACK SPEECH") }
        let media = FFmpeg()
        let avatar = try Avatar(contentsOf: URL(filePath: arguments[1]))
        let engine = try await Engine(avatar, backend: ONNXBackend(), media: media, judge: WeightJudge())
        var frames = 0
        for try await frame in engine.frames(for: try await media.speech(at: URL(filePath: arguments[2]))) {
            frames += try frame.image.width == avatar.manifest.width ? 1 : 0
        }
        print("Viseme \(Release.version): \(frames) frames")
    }
}
