// Draws a talking head for a speech, picture by picture.
// snippet.hide
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

let packURL = URL(filePath: "avatars/robin.avatar")
let speechURL = URL(filePath: CommandLine.arguments.dropFirst().first ?? "samples/hello.wav")
var shown = 0
@MainActor func show(_ image: Image) { shown += image.width == 1280 && image.height == 720 ? 1 : 0 }
// snippet.show
let media = FFmpeg()
let avatar = try Avatar(contentsOf: packURL)
let engine = try await Engine(avatar, backend: ONNXBackend(), media: media, judge: WeightJudge())
for try await frame in engine.frames(for: try await media.speech(at: speechURL)) {
    show(try frame.image)
}
// snippet.hide
print("RenderAFile: \(shown) pictures")
