// Mouth shapes for a character of your own: no picture is drawn.
// snippet.hide
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

let avatar = try Avatar(contentsOf: URL(filePath: "avatars/robin.avatar"))
let speechURL = URL(filePath: CommandLine.arguments.dropFirst().first ?? "samples/hello.wav")
var moved = 0
var widest: Float = 0
@MainActor func move(jaw: Float, lips: Float) { (moved, widest) = (moved + 1, max(widest, jaw)) }
// snippet.show
let reader = try await MouthReader(avatar, backend: ONNXBackend(), judge: WeightJudge())
for try await shape in reader.shapes(for: try await FFmpeg().speech(at: speechURL)) {
    move(jaw: shape.jaw, lips: shape.closure)  // 25 shapes a second, 0…1 each
}
// snippet.hide
print("ReadVisemes: \(moved) shapes, the jaw opens \(widest > 0.2 ? "well" : "not")")
