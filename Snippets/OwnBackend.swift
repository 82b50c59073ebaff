// A backend of your own: here one that measures another one. A runtime of your own answers the same calls.
// snippet.hide
import Foundation
import Synchronization
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

// snippet.show
final class Stopwatch: Sendable {
    let total = Mutex(Duration.zero)

    func time<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        let start = ContinuousClock.now
        let value = try await body()
        total.withLock { $0 += ContinuousClock.now - start }
        return value
    }
}

struct TimedBackend: InferenceBackend {
    let name = "timed"
    let inner: any InferenceBackend
    let stopwatch = Stopwatch()

    @concurrent func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
        TimedEncoder(inner: try await inner.audioEncoder(model, threads: threads), stopwatch: stopwatch)
    }

    @concurrent func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
        TimedGenerator(inner: try await inner.generator(model, threads: threads), stopwatch: stopwatch)
    }
}

struct TimedEncoder: AudioEncoder {
    let inner: any AudioEncoder
    let stopwatch: Stopwatch
    var runtime: RuntimeDescription { inner.runtime }

    func encode(_ melWindows: [Float], count: Int) async throws -> [Float] {
        try await stopwatch.time { try await inner.encode(melWindows, count: count) }
    }
}

struct TimedGenerator: Generator {
    let inner: any Generator
    let stopwatch: Stopwatch
    var runtime: RuntimeDescription { inner.runtime }
    var imageSize: PixelSize { inner.imageSize }

    func generate(image: [Float], audio: [Float]) async throws -> [Float] {
        try await stopwatch.time { try await inner.generate(image: image, audio: audio) }
    }
}

let backend = TimedBackend(inner: try ONNXBackend())
// snippet.hide
let speechURL = URL(filePath: CommandLine.arguments.dropFirst().first ?? "samples/hello.wav")
let media = FFmpeg()
let avatar = try Avatar(contentsOf: URL(filePath: "avatars/robin.avatar"))
let engine = try await Engine(avatar, backend: backend, media: media, judge: WeightJudge())
var frames = 0
for try await _ in engine.frames(for: try await media.speech(at: speechURL)) { frames += 1 }
print("OwnBackend: \(frames) frames, \(backend.stopwatch.total.withLock { $0 } > .zero ? "measured" : "not measured")")
