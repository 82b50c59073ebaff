import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Live frames")
struct LiveFramesTests {
    private func offline(_ engine: Engine, _ samples: [Float]) async throws -> [Image] {
        var images: [Image] = []
        for try await frame in engine.frames(for: FakeSpeech(samples)) { images.append(try frame.image) }
        return images
    }

    private func session(
        _ engine: Engine, sound: AudioFormat = .speech, lookahead: Duration = .milliseconds(453),
        buffer: Duration = .seconds(10)
    ) async throws -> LiveSession {
        var settings = LiveSession.Settings()
        settings.pace = .none
        settings.sound = sound
        settings.lookahead = lookahead
        settings.buffer = buffer
        return try await LiveSession(engine, settings: settings)
    }

    @Test("However the samples come, frames and sound are those of an offline render", arguments: 0..<200)
    func cuts(seed: Int) async throws {
        try await withTemporaryFolder { folder in
            var random = SeededRandom(seed)
            let samples = noise(Int.random(in: 1...24000, using: &random), seed: seed)
            let largest = [1000, 10, 640, 5000, 24000][seed % 5]
            var chunks: [ArraySlice<Float>] = []
            var rest = samples[...]
            while !rest.isEmpty {
                let count = min(rest.count, Int.random(in: 1...largest, using: &random))
                chunks.append(rest.prefix(count))
                rest = rest.dropFirst(count)
                // Small pieces for a while only: a thousand actor calls say no more.
                if chunks.count == 300 {
                    chunks.append(rest)
                    rest = []
                }
            }
            let engine = try await fakeEngine(in: folder, cores: 1 + seed % 3)
            let session = try await session(engine, buffer: .milliseconds([40, 700, 10000][seed % 3]))
            async let producer: Void = {
                for chunk in chunks where !chunk.isEmpty { try await session.push(Array(chunk)) }
                await session.end()
            }()
            let units = try await session.collect()
            try await producer
            let expected = try await offline(engine, samples)
            #expect(units.map(\.index) == Array(0..<expected.count))
            #expect(try units.compactMap { try $0.frame?.image } == expected)
            let sound = units.flatMap(\.sound)
            #expect(sound == samples + [Float](repeating: 0, count: expected.count * 640 - samples.count))
            #expect(units.allSatisfy { $0.isSpeech })
        }
    }

    @Test("Sound of any form travels with its frames", arguments: [8000, 22050, 44100, 48000])
    func soundForms(rate: Int) async throws {
        try await withTemporaryFolder { folder in
            let form = AudioFormat(rate: rate, channels: 2)
            let session = try await session(fakeEngine(in: folder), sound: form)
            let samples = noise(16000 * 2 + 100, seed: 1)
            let sound = (0..<samples.count * rate / 16000 * 2).map { Float($0 % 1000) / 1000 }
            let producer = Task {
                // What the mouth hears comes later than the sound, as out of a resampler.
                try await session.push([], sound: Array(sound[..<400]))
                try await session.push(samples, sound: Array(sound[400...]))
                await session.end()
            }
            let units = try await session.collect()
            try await producer.value
            #expect(units.count == 51)
            #expect(units.allSatisfy { $0.sound.count == rate / 25 * 2 })
            let given = units.flatMap(\.sound)
            #expect(Array(given[..<sound.count]) == sound)
            #expect(given[sound.count...].allSatisfy { $0 == 0 })
        }
    }

    @Test("An utterance begins where the template is; each is drawn as if it were alone")
    func utterances() async throws {
        try await withTemporaryFolder { folder in
            let engine = try await fakeEngine(in: folder)
            let session = try await session(engine)
            let parts = [noise(7000, seed: 1), noise(1, seed: 2), noise(30000, seed: 3)]
            for part in parts {
                try await session.push(part)
                await session.finish()
            }
            await session.finish()
            await session.end()
            let units = try await session.collect()
            var position = 0
            for part in parts {
                var timeline = SpeechTimeline(.syncTalk2D)
                timeline.append(part)
                timeline.finish()
                let (windows, _) = timeline.takeMelWindows(limit: .max)
                timeline.accept(rows: FakeEncoder.rows(windows))
                while let job = timeline.nextFrame() {
                    let expected = try await engine.draw(
                        DrawJob(
                            index: position, templateIndex: engine.avatar.templateIndex(ofFrame: position),
                            featureWindow: job.featureWindow))
                    #expect(try units[position].frame?.image == expected.image, "frame \(position)")
                    position += 1
                }
            }
            #expect(position == units.count)
        }
    }

    @Test(
        "A frame comes when the samples of its look-ahead have come, not earlier and not later",
        arguments: [(453, 10400), (300, 7800), (200, 5800), (100, 4600), (40, 3840)])
    func lookahead(milliseconds: Int, samples: Int) async throws {
        try await withTemporaryFolder { folder in
            let engine = try await fakeEngine(in: folder)
            let session = try await session(engine, lookahead: .milliseconds(milliseconds))
            let speech = noise(samples, seed: 1)
            try await session.push(Array(speech.dropLast()))
            for _ in 0..<5 { #expect(try await session.next()?.isSpeech == true) }
            let sixth = Task { try await session.next() }
            try await Task.sleep(for: .milliseconds(20))
            #expect(await session.report.units == 5)
            try await session.push([speech[samples - 1]])
            #expect(try await sixth.value?.isSpeech == true)
            #expect(await session.report.latency["firstFrame"] != nil)
        }
    }

    /// An hour is mostly mel, a minute and more of it: that is for VISEME_MEASURE=1.
    @Test("Minutes at full speed: not a sample is lost or added", .timeLimit(.minutes(15)))
    func drift() async throws {
        let isLong = ProcessInfo.processInfo.environment["VISEME_MEASURE"] == "1"
        let seconds = isLong ? 3600 : 300
        try await withTemporaryFolder { folder in
            let session = try await session(fakeEngine(in: folder))
            let second = noise(16000, seed: 3)
            let producer = Task {
                for _ in 0..<seconds { try await session.push(second) }
                await session.end()
            }
            var count = 0
            for try await unit in session.units {
                let start = count * 640 % 16000
                if unit.index != count || unit.sound != Array(second[start..<start + 640]) {
                    Issue.record("unit \(count) is \(unit.index) or has the wrong sound")
                    break
                }
                count += 1
            }
            try await producer.value
            #expect(count == seconds * 25)
        }
    }

    @Test("A producer that is far ahead waits, until there is room, it is cancelled, or somebody interrupts")
    func bounded() async throws {
        try await withTemporaryFolder { folder in
            let session = try await session(fakeEngine(in: folder), buffer: .seconds(1))
            let pushed = Gauge()
            let producer = Task {
                for _ in 0..<100 {
                    try await session.push([Float](repeating: 0.1, count: 1600))
                    pushed.enter()
                }
            }
            while pushed.total < 10 { try await Task.sleep(for: .milliseconds(1)) }
            try await Task.sleep(for: .milliseconds(30))
            // One second waits; one more may be planned ahead.
            #expect(pushed.total <= 21)
            for _ in 0..<25 { _ = try await session.next() }
            try await Task.sleep(for: .milliseconds(30))
            #expect(pushed.total > 11 && pushed.total <= 35)
            producer.cancel()
            await #expect(throws: CancellationError.self) { try await producer.value }

            let old = Task { try await session.push([Float](repeating: 0.1, count: 160_000)) }
            try await Task.sleep(for: .milliseconds(20))
            await session.interrupt()
            #expect(try await old.value == false)
            let epoch = await session.epoch
            #expect(try await session.push([0.1], epoch: epoch - 1) == false)
            #expect(try await session.push([0.1], epoch: epoch) == true)
            await session.end()
            #expect(try await session.push([0.1]) == false)
            #expect(try await session.collect().count == 1)
        }
    }

    @Test("An error of a model ends the session, for the consumer and for a waiting producer")
    func modelError() async throws {
        try await withTemporaryFolder { folder in
            let backend = FakeBackend(generator: FakeGenerator(gauge: Gauge(), failsAt: 7))
            let session = try await session(fakeEngine(in: folder, backend: backend))
            let producer = Task { try await session.push(noise(16000 * 60, seed: 1)) }
            let error = await #expect(throws: VisemeError.self) { try await session.collect() }
            #expect(error?.message == "the fake generator fails at call 7")
            await #expect(throws: VisemeError.self) { try await producer.value }
        }
    }

    @Test("Cancelling the consumer ends its waiting")
    func cancellation() async throws {
        try await withTemporaryFolder { folder in
            let session = try await session(fakeEngine(in: folder))
            let consumer = Task { try await session.collect() }
            try await Task.sleep(for: .milliseconds(20))
            consumer.cancel()
            await #expect(throws: CancellationError.self) { try await consumer.value }
        }
    }
}
