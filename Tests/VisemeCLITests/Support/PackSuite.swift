import Foundation
import Testing
import VisemeFFmpeg
import VisemeModels
import VisemeONNX
import VisemeTestSupport

@testable import Viseme

/// What suites over whole packs share: an engine as a render has it, and frames from it.
protocol PackSuite {}

extension PackSuite {
    func engine(_ url: URL, memory: Int = 200_000_000) async throws -> Engine {
        let library: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try await Engine(
            Avatar(contentsOf: url), backend: TranslatingBackend(splitting: ONNXBackend(libraryPath: library)),
            media: FFmpeg(), judge: WeightJudge(), memory: memory)
    }

    func frames(
        _ engine: Engine, _ samples: [Float], chunk: Int = 16000, range: Range<Int> = 0..<Int.max
    ) async throws -> [Frame] {
        var result: [Frame] = []
        for try await frame in engine.frames(for: Samples(samples, chunk: chunk), range: range) { result.append(frame) }
        return result
    }

    /// The frames of a live session that gets its samples in pieces.
    func liveFrames(_ engine: Engine, _ samples: [Float], chunk: Int) async throws -> [Image] {
        var settings = LiveSession.Settings()
        settings.pace = .none
        let session = try await LiveSession(engine, settings: settings)
        let producer = Task {
            for start in stride(from: 0, to: samples.count, by: chunk) {
                try await session.push(Array(samples[start..<min(samples.count, start + chunk)]))
            }
            await session.end()
        }
        var live: [Image] = []
        for try await unit in session.units { live.append(try #require(unit.frame).picture.image()) }
        try await producer.value
        return live
    }

    func tone(_ count: Int) -> [Float] {
        (0..<count).map { 0.6 * sin(Float($0) * 0.09) * abs(sin(Float($0) * 0.0007)) }
    }
}
