import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Engine")
struct EngineTests {
    private func collect(_ frames: Frames) async throws -> [Frame] {
        var result: [Frame] = []
        for try await frame in frames { result.append(frame) }
        return result
    }

    @Test(
        "Frames come in order, ceil(n/640) of them",
        arguments: [0, 1, 639, 640, 641, 800, 2999, 3000, 5000, 16000, 123_457])
    func counts(samples: Int) async throws {
        try await withTemporaryFolder { folder in
            let frames = try await collect(fakeEngine(in: folder).frames(for: FakeSpeech(noise(samples, seed: 1))))
            #expect(frames.map(\.index) == Array(0..<(samples + 639) / 640))
            #expect(frames.allSatisfy { Set($0.durations.keys) == Set(Stage.allCases) })
        }
    }

    @Test("Every length of 1 … 5000 samples gives ceil(n/640) frames")
    func everyLength() async throws {
        try await withTemporaryFolder { folder in
            let engine = try await fakeEngine(in: folder)
            for count in 1...5000 {
                var total = 0
                for try await frame in engine.frames(for: FakeSpeech([Float](repeating: 0.1, count: count))) {
                    #expect(frame.index == total)
                    total += 1
                }
                #expect(total == (count + 639) / 640, "\(count) samples")
            }
        }
    }

    @Test("Loading, reading and drawing leave the caller's actor free")
    @MainActor func mainActor() async throws {
        try await withTemporaryFolder { @MainActor folder in
            let places = Places()
            var backend = FakeBackend(encoder: FakeEncoder(places: places), generator: FakeGenerator(places: places))
            backend.places = places
            let engine = try await fakeEngine(in: folder, backend: backend)
            let speech = FakeSpeech(count: 4000) { range in
                places.note()
                return [Float](repeating: 0.1, count: range.count)
            }
            for try await _ in engine.frames(for: speech) {}
            #expect(isOnMainActor(), "a test elsewhere says nothing")
            #expect(places.noted >= 5 && places.onMain == 0)
        }
    }

    @Test("A picture or a mouth of another size is an error, not a write beyond an image")
    func otherSizes() async throws {
        try await withTemporaryFolder { folder in
            var media = FakeMedia()
            media.template.givesOtherSize = true
            let picture = await #expect(throws: VisemeError.self) {
                try await collect(fakeEngine(in: folder, media: media).frames(for: FakeSpeech(noise(3000, seed: 1))))
            }
            #expect(picture?.message.contains("were asked for") == true)
            var generator = FakeGenerator()
            generator.extraValues = 3
            let mouth = await #expect(throws: VisemeError.self) {
                try await collect(
                    fakeEngine(in: folder, backend: FakeBackend(generator: generator)).frames(
                        for: FakeSpeech(noise(3000, seed: 1))))
            }
            #expect(mouth?.code == .badData && mouth?.message.contains("expected 768") == true)
        }
    }

    @Test("The same speech gives the same frames, however it is cut and however many cores draw", arguments: 0..<12)
    func deterministic(seed: Int) async throws {
        try await withTemporaryFolder { folder in
            var random = SeededRandom(seed)
            let samples = noise(Int.random(in: 1...60000, using: &random), seed: seed)
            let whole = try await collect(
                fakeEngine(in: folder, cores: 1).frames(for: FakeSpeech(samples, chunks: [samples.count])))
            let sizes = (0..<20).map { _ in Int.random(in: 1...[10, 500, 5000, 16000][seed % 4], using: &random) }
            let pieces = try await collect(
                fakeEngine(in: folder, cores: 1 + seed % 5).frames(for: FakeSpeech(samples, chunks: sizes)))
            #expect(try pieces.map { try $0.image } == whole.map { try $0.image })
            #expect(
                try Set(whole.map { try $0.image.bytes }).count > 1 || whole.count < 10,
                "all pictures are the same: the test says nothing")
        }
    }

    @Test("A range rendered alone equals that range of the whole", arguments: 0..<16)
    func ranges(seed: Int) async throws {
        try await withTemporaryFolder { folder in
            var random = SeededRandom(500 + seed)
            let samples = noise(Int.random(in: 1...80000, using: &random), seed: seed)
            let total = GeneratorFamily.syncTalk2D.frameCount(samples: samples.count)
            let first = Int.random(in: 0..<total, using: &random)
            let end = Int.random(in: first + 1...total, using: &random)
            let engine = try await fakeEngine(in: folder)
            let whole = try await collect(engine.frames(for: FakeSpeech(samples)))
            let part = try await collect(engine.frames(for: FakeSpeech(samples, chunks: [777]), range: first..<end))
            #expect(part.map(\.index) == Array(first..<end))
            #expect(try part.map { try $0.image } == whole[first..<end].map { try $0.image })
            #expect(part.map(\.square) == whole[first..<end].map(\.square))
        }
    }

    @Test(
        "A range that reaches beyond the audio is an error that names both",
        arguments: [0..<26, 24..<26, 25..<26, 100..<200])
    func rangeBeyond(range: Range<Int>) async throws {
        try await withTemporaryFolder { folder in
            let engine = try await fakeEngine(in: folder)
            let error = await #expect(throws: VisemeError.self) {
                try await collect(engine.frames(for: FakeSpeech(noise(16000, seed: 1)), range: range))
            }
            #expect(error?.code == .usage)
            #expect(error?.message.contains("25 frames") == true)
        }
    }

    @Test("Audio is read only as far as the frames need it: leaving early stops reading, and a range ends it")
    func readsNoFurther() async throws {
        try await withTemporaryFolder { folder in
            let engine = try await fakeEngine(in: folder)
            let speech = FakeSpeech(noise(16000 * 60, seed: 1))
            for try await frame in engine.frames(for: speech) where frame.index == 49 { break }
            #expect(await speech.reads <= 5)
            let other = FakeSpeech(noise(16000 * 60, seed: 1))
            #expect(try await collect(engine.frames(for: other, range: 0..<50)).count == 50)
            #expect(await other.reads <= 5)
        }
    }

    @Test("Generation runs in parallel, but never with more frames than two a core", arguments: [1, 2, 4])
    func parallel(cores: Int) async throws {
        try await withTemporaryFolder { folder in
            let gauge = Gauge()
            let backend = FakeBackend(generator: FakeGenerator(delay: .milliseconds(2), gauge: gauge))
            let engine = try await fakeEngine(in: folder, backend: backend, cores: cores)
            #expect(engine.parallelism.width * engine.parallelism.threads <= cores)
            _ = try await collect(engine.frames(for: FakeSpeech(noise(32000, seed: 1))))
            #expect(gauge.total == 50)
            #expect(gauge.most > 1 && gauge.most <= 2 * cores)
        }
    }

    @Test("Cancelling, and leaving the loop early, leave nothing running")
    func cancellation() async throws {
        try await withTemporaryFolder { folder in
            let gauge = Gauge()
            let backend = FakeBackend(generator: FakeGenerator(delay: .milliseconds(20), gauge: gauge))
            let engine = try await fakeEngine(in: folder, backend: backend)
            let task = Task {
                for try await _ in engine.frames(for: FakeSpeech(noise(16000 * 60, seed: 1))) {}
            }
            while gauge.total < 5 { try await Task.sleep(for: .milliseconds(1)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await untilIdle(gauge)
            let after = gauge.total
            try await Task.sleep(for: .milliseconds(100))
            #expect(gauge.total == after)

            for try await frame in engine.frames(for: FakeSpeech(noise(16000 * 60, seed: 1))) where frame.index == 3 {
                break
            }
            try await untilIdle(gauge)
            #expect(gauge.total <= after + 4 + engine.parallelism.depth)
        }
    }

    @Test("An error of a model ends the frames, with the model's own words")
    func modelError() async throws {
        try await withTemporaryFolder { folder in
            let gauge = Gauge()
            let engine = try await fakeEngine(
                in: folder, backend: FakeBackend(generator: FakeGenerator(gauge: gauge, failsAt: 7)))
            let error = await #expect(throws: VisemeError.self) {
                try await collect(engine.frames(for: FakeSpeech(noise(32000, seed: 1))))
            }
            #expect(error?.message == "the fake generator fails at call 7")
            try await untilIdle(gauge)
        }
    }

    @Test("Rows that are not numbers are an error before any frame is drawn")
    func brokenEncoder() async throws {
        try await withTemporaryFolder { folder in
            let gauge = Gauge()
            let backend = FakeBackend(encoder: FakeEncoder(isBroken: true), generator: FakeGenerator(gauge: gauge))
            let engine = try await fakeEngine(in: folder, backend: backend)
            let error = await #expect(throws: VisemeError.self) {
                try await collect(engine.frames(for: FakeSpeech(noise(32000, seed: 1))))
            }
            #expect(error?.code == .badData)
            #expect(error?.message.contains("audio encoder") == true)
            #expect(gauge.total == 0)
        }
    }

    @Test("A template that is not what the manifest says is refused, and so is a generator of another size")
    func mismatches() async throws {
        try await withTemporaryFolder { folder in
            for (template, text) in [
                (FakeTemplate(frameCount: 4, width: 40, height: 30), "4 frames"),
                (FakeTemplate(frameCount: 5, width: 41, height: 30), "41×30"),
                (FakeTemplate(frameCount: 5, width: 40, height: 31), "40×31"),
            ] {
                let error = await #expect(throws: VisemeError.self) {
                    try await fakeEngine(in: folder, media: FakeMedia(template: template))
                }
                #expect(error?.code == .badData)
                #expect(error?.message.contains(text) == true)
            }
            let error = await #expect(throws: VisemeError.self) {
                try await fakeEngine(in: folder, backend: FakeBackend(generator: FakeGenerator(side: 32)))
            }
            #expect(error?.message.contains("32×32") == true)
        }
    }

    @Test("One hour: 90 000 frames through the whole engine in flat memory", .timeLimit(.minutes(15)))
    func oneHour() async throws {
        try await withTemporaryFolder { folder in
            let engine = try await fakeEngine(in: folder)
            let second = noise(16000, seed: 3)
            let speech = FakeSpeech(count: 16000 * 3600) { _ in second }
            var count = 0
            var early = 0
            for try await frame in engine.frames(for: speech) {
                #expect(frame.index == count)
                count += 1
                if count == 5000 { early = residentBytes() }
            }
            #expect(count == 90_000)
            // What one frame keeps would show 85 000 times: 45 MB are half a kilobyte of it. Zero is: not measured here. Other
            // tests use the process meanwhile, and it was seen to grow by 31 MB.
            if early > 0 { #expect(residentBytes() - early < 45_000_000) }
        }
    }

    /// Resident memory as Linux tells it; 0 elsewhere.
    private func residentBytes() -> Int {
        // Absent outside Linux: then there is nothing to measure.
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 4096 } ?? 0
    }
}

@Suite("Render")
struct RenderTests {
    private func render(in folder: URL, samples: Int, backend: FakeBackend = FakeBackend()) async throws -> (
        Render, FakeWriter
    ) {
        let media = FakeMedia(speech: FakeSpeech(noise(samples, seed: 1)))
        let engine = try await fakeEngine(in: folder, backend: backend, media: media)
        return (Render(engine: engine, media: media, audio: URL(filePath: "speech.wav")), media.writer)
    }

    @Test("It writes every frame, reports progress and says what ran")
    func report() async throws {
        try await withTemporaryFolder { folder in
            let (render, writer) = try await render(in: folder, samples: 16001)
            var progress: [Int] = []
            let report = try await render.run(to: folder.appending(path: "out.mp4")) { progress.append($0) }
            #expect(report.video.frames == 26)
            #expect(progress == Array(1...26))
            #expect(await writer.isFinished)
            #expect(Set(report.stages.keys) == ["template", "crop", "prepare", "generate", "paste", "write"])
            #expect(report.stages.values.allSatisfy { $0.p50 >= 0 && $0.p95 >= $0.p50 })
            #expect(report.models.map(\.role) == [.audioEncoder, .generator])
            #expect(report.models.allSatisfy { $0.runtime == fakeRuntime && $0.sha256 == TestPack.sha })
            #expect(report.framesPerSecond > 0)
        }
    }

    @Test("An error cancels the writer, so that nothing is left")
    func error() async throws {
        try await withTemporaryFolder { folder in
            let backend = FakeBackend(generator: FakeGenerator(gauge: Gauge(), failsAt: 9))
            let (render, writer) = try await render(in: folder, samples: 32000, backend: backend)
            await #expect(throws: VisemeError.self) { try await render.run(to: folder.appending(path: "out.mp4")) }
            #expect(await writer.isCancelled)
            #expect(await !writer.isFinished)
        }
    }

    @Test("Cancelling cancels the writer")
    func cancelled() async throws {
        try await withTemporaryFolder { folder in
            let gauge = Gauge()
            let backend = FakeBackend(generator: FakeGenerator(delay: .milliseconds(5), gauge: gauge))
            let (render, writer) = try await render(in: folder, samples: 16000 * 600, backend: backend)
            let task = Task { _ = try await render.run(to: folder.appending(path: "out.mp4")) }
            while gauge.total < 10 { try await Task.sleep(for: .milliseconds(1)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(await writer.isCancelled)
        }
    }
}

@Suite("Speech features")
struct SpeechFeaturesTests {
    @Test("Mel, windows and rows have the contract's shapes and doubled ends", arguments: [1, 3000, 32000, 32208])
    func shapes(count: Int) async throws {
        let samples = noise(count, seed: 4)
        let features = try await SpeechFeatures(
            of: FakeSpeech(samples, chunks: [1000]), family: .syncTalk2D, encoder: FakeEncoder())
        var stream = MelStream(GeneratorFamily.syncTalk2D.mel)
        #expect(features.mel == transposed(stream.append(samples) + stream.finish()))
        #expect(features.melWindowCount == GeneratorFamily.syncTalk2D.melWindowCount(columns: features.mel.count / 80))
        #expect(features.melWindows.count == features.melWindowCount * 1280)
        let rows = FakeEncoder.rows(features.melWindows)
        #expect(features.rows == rows.prefix(512) + rows + rows.suffix(512))
    }
}
