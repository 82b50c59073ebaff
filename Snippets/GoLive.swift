// Sound goes in as it arrives, units of one picture and 40 ms of sound come out.
// snippet.hide
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

let media = FFmpeg()
let avatar = try Avatar(contentsOf: URL(filePath: "avatars/robin.avatar"))
let engine = try await Engine(avatar, backend: ONNXBackend(), media: media, judge: WeightJudge())
let speechURL = URL(filePath: CommandLine.arguments.dropFirst().first ?? "samples/hello.wav")
let source = try await media.liveSource(at: speechURL)
var shown = 0
var played = 0
@MainActor func show(_ image: Image) { shown += 1 }
@MainActor func play(_ sound: [Float]) { played += sound.count }
// snippet.show
var settings = LiveSession.Settings()
settings.sound = await source.form  // what is heard keeps its rate and channels
settings.pace = .none  // .realTime, the default, keeps to the clock and is idle between words
let session = try await LiveSession(engine, settings: settings)

let speaking = Task {
    do {
        while let (samples, sound) = try await source.read() { try await session.push(samples, sound: sound) }
    } catch {
        await session.end()
        throw error
    }
    await session.end()
}
for try await unit in session.units {
    if let frame = unit.frame { show(try frame.image) }  // nil: the picture before stays
    play(unit.sound)
}
try await speaking.value
// snippet.hide
print("GoLive: \(shown) pictures, \(played) samples")
