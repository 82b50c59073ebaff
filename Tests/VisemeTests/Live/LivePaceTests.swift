import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Live pace")
struct LivePaceTests {
    /// A pack whose template may be shown while nobody speaks; its frames are 60, 61, 62, … grey.
    private func idleEngine(in folder: URL, generator: FakeGenerator = FakeGenerator(), frames: Int = 5) async throws
        -> Engine
    {
        try await fakeEngine(
            in: folder, backend: FakeBackend(generator: generator),
            media: FakeMedia(template: FakeTemplate(frameCount: frames, width: 40, height: 30)),
            pack: TestPack(frames: frames, manifest: ["idle": [0, frames]]))
    }

    private let speech = noise(16000, seed: 1)

    @Test("While nobody speaks the template goes on, the sound is silence, and the generator rests")
    func idle() async throws {
        try await withTemporaryFolder { folder in
            let gauge = Gauge()
            let paced = try await PacedSession(idleEngine(in: folder, generator: FakeGenerator(gauge: gauge)))
            let units = try await paced.next(100)
            #expect(units.map(\.index) == Array(0..<100))
            #expect(units.allSatisfy { !$0.isSpeech && $0.sound == [Float](repeating: 0, count: 640) })
            for unit in units {
                let frame = try #require(unit.frame)
                let level = UInt8(60 + Avatar.pingPong(unit.index, count: 5))
                #expect(try frame.image == Image(width: 40, height: 30, grey: level), "unit \(unit.index)")
            }
            #expect(gauge.total == 0)
        }
    }

    @Test("Without idle frames in the pack each closed mouth is drawn once, for all sessions of the engine")
    func idleSquares() async throws {
        try await withTemporaryFolder { folder in
            let gauge = Gauge()
            let engine = try await fakeEngine(
                in: folder, backend: FakeBackend(generator: FakeGenerator(gauge: gauge)))
            for _ in 0..<3 {
                let paced = try await PacedSession(engine)
                let units = try await paced.next(40)
                #expect(units.allSatisfy { $0.frame != nil && !$0.isSpeech })
                // Up to two frames are under way before the first of them is kept.
                #expect(gauge.total <= 7)
            }
        }
    }

    @Test("A unit is given when it is due, not earlier; who asks late gets it at once")
    func due() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(idleEngine(in: folder))
            _ = try await paced.next()
            let early = Task { try await paced.session.next() }
            paced.clock.advance(by: .milliseconds(39))
            try await Task.sleep(for: .milliseconds(20))
            #expect(await paced.session.report.units == 1)
            paced.clock.advance(by: .milliseconds(1))
            #expect(try await early.value?.index == 1)
            paced.clock.advance(by: .seconds(1))
            for index in 2..<26 { #expect(try await paced.session.next()?.index == index) }
        }
    }

    @Test(
        "Speech begins and ends without a jump: the template goes on, the mouth fades in and closes", arguments: 0..<5)
    func noJump(before: Int) async throws {
        try await withTemporaryFolder { folder in
            // For silence the fake generator darkens the square by half; for speech it lights it.
            let paced = try await PacedSession(idleEngine(in: folder, frames: 90))
            var units = try await paced.next(7 + before)
            try await paced.session.push(speech)
            await paced.session.finish()
            units += try await paced.next(60)
            let frames = try units.map { try #require($0.frame) }
            #expect(frames.map(\.index) == Array(0..<frames.count))
            #expect(
                try zip(units, frames).allSatisfy { try corner($1.image) == 60 + Avatar.pingPong($0.index, count: 90) })

            let first = try #require(units.firstIndex { $0.isSpeech })
            let last = try #require(units.lastIndex { $0.isSpeech })
            #expect(last - first == 24 && units[first...last].allSatisfy { $0.isSpeech })
            #expect(first <= 7 + before + 3, "speech that has come begins within three units")
            #expect(units[first...last].flatMap(\.sound) == speech)
            // Inside the roi, four ninths of the square, 60 … 120 grey become half, in three steps: 9 each.
            for range in [0..<first, last + 8..<units.count] {
                let levels = try frames[range].map(level)
                for (a, b) in zip(levels, levels.dropFirst()) {
                    #expect(abs(a - b) <= 11, "\(levels)")
                }
            }
            let fade = try abs(level(frames[first - 1]) - level(frames[first - 2]))
            #expect(fade > 3, "nothing fades: the test says nothing")
            // The mouth that spoke closes over eight pictures; then the template is shown again.
            #expect(frames[(last + 1)...(last + 8)].allSatisfy { $0.origin == .generated })
            #expect(frames[(last + 14)...].allSatisfy { $0.origin == .template })
        }
    }

    @Test("The frames of paced speech are the offline frames from that template frame on")
    func pacedEqualsOffline() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(idleEngine(in: folder))
            _ = try await paced.next(3)
            try await paced.session.push(speech)
            await paced.session.finish()
            let spoken = try await paced.next(40).filter(\.isSpeech)
            var timeline = SpeechTimeline(.syncTalk2D)
            timeline.append(speech)
            timeline.finish()
            let (windows, _) = timeline.takeMelWindows(limit: .max)
            timeline.accept(rows: FakeEncoder.rows(windows))
            for unit in spoken {
                let frame = try #require(unit.frame)
                let job = timeline.nextFrame()
                let window = try #require(job).featureWindow
                let index = paced.engine.avatar.templateIndex(ofFrame: frame.index)
                let expected = try await paced.engine.draw(
                    DrawJob(index: frame.index, templateIndex: index, featureWindow: window))
                #expect(try frame.image == expected.image)
            }
            #expect(spoken.count == 25)
        }
    }

    @Test("After an interruption nothing old is shown or heard", arguments: [1, 5, 12, 24])
    func interrupt(after count: Int) async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(idleEngine(in: folder))
            var shown = try await paced.next(2)
            try await paced.session.push(noise(16000 * 9, seed: 1))
            while shown.count(where: \.isSpeech) < count { shown.append(try await paced.next()) }
            await paced.session.interrupt()
            let after = try await paced.next(40)
            #expect(after.allSatisfy { !$0.isSpeech && $0.frame != nil && $0.sound.allSatisfy { $0 == 0 } })
            #expect(after.suffix(20).allSatisfy { $0.frame?.origin == .template })
            // The body goes on where it was.
            let last = try #require(shown.last?.frame?.index)
            #expect(after.compactMap(\.frame?.index) == Array(last + 1...last + 40))
            let report = await paced.session.report
            #expect(report.interrupts == 1 && (report.latency["interrupt"]?.p95 ?? 1000) <= 80)
            // What is said next is spoken.
            let words = noise(3200, seed: 9)
            try await paced.session.push(words)
            await paced.session.finish()
            #expect(try await paced.next(20).filter(\.isSpeech).flatMap(\.sound) == words)
        }
    }

    @Test("When the machine is too slow pictures are left out and counted; sound never is")
    func late() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(
                idleEngine(in: folder, generator: FakeGenerator(delay: .milliseconds(30))))
            _ = try await paced.next(2)
            try await paced.session.push(speech)
            await paced.session.finish()
            var units: [LiveUnit] = []
            // Time passes as fast as this loop runs: far too fast for a generator that needs 30 ms.
            while units.count(where: \.isSpeech) < 25 {
                paced.clock.advance(by: .milliseconds(40))
                units.append(try #require(try await paced.session.next()))
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(units.filter(\.isSpeech).flatMap(\.sound) == speech)
            let missing = units.count { $0.frame == nil }
            let report = await paced.session.report
            #expect(report.dropped > 0, "\(report)")
            #expect(report.dropped + report.starved == missing)
            // It recovers as soon as there is time.
            let calm = try await paced.next(30)
            #expect(calm.suffix(10).allSatisfy { $0.frame != nil })
        }
    }

    @Test("A sentence whose rest does not come waits a while, then ends; the rest is another sentence")
    func starving() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(idleEngine(in: folder))
            _ = try await paced.next(2)
            try await paced.session.push(speech)
            // 14 frames have their look-ahead; after 400 ms without more the other 11 are spoken, too.
            let units = try await paced.next(60)
            #expect(units.filter(\.isSpeech).flatMap(\.sound) == speech)
            let report = await paced.session.report
            #expect(report.dropped == 0 && report.speech == 25)
            #expect(units.filter { $0.frame == nil }.count == report.starved)
            #expect(units.last?.frame?.origin == .template)

            // With the rest in time nothing is added and nothing ends.
            let rest = noise(16000, seed: 2)
            try await paced.session.push(rest)
            var spoken = try await paced.next(12)
            for start in stride(from: 0, to: 16000, by: 640) {
                try await paced.session.push(Array(rest[start..<start + 640]))
                spoken.append(try await paced.next())
            }
            await paced.session.finish()
            spoken += try await paced.next(30)
            #expect(spoken.filter(\.isSpeech).flatMap(\.sound) == rest + rest)
            #expect(await paced.session.report.starved == report.starved)
        }
    }

    @Test("Whatever is said, ended and interrupted: units have no gaps, the body never jumps", arguments: 0..<60)
    func anything(seed: Int) async throws {
        try await withTemporaryFolder { folder in
            var random = SeededRandom(seed)
            let paced = try await PacedSession(idleEngine(in: folder, frames: 7), buffer: .seconds(2))
            var units: [LiveUnit] = []
            for _ in 0..<60 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<4:
                    let samples = noise(Int.random(in: 1...3000, using: &random), seed: seed)
                    try await paced.session.push(samples)
                    // More than fits would wait for a unit that nobody asks for.
                    units += try await paced.next(6)
                case 4: await paced.session.finish()
                case 5 where seed % 2 == 0: await paced.session.interrupt()
                default: units.append(try await paced.next())
                }
            }
            await paced.session.end()
            while true {
                try await paced.settle()
                paced.clock.advance(by: .milliseconds(40))
                guard let unit = try await paced.session.next() else { break }
                units.append(unit)
            }
            #expect(units.map(\.index) == Array(0..<units.count))
            let positions = units.compactMap(\.frame?.index)
            #expect(positions == Array(0..<positions.count))
            #expect(units.allSatisfy { $0.sound.count == 640 && ($0.isSpeech || $0.sound.allSatisfy { $0 == 0 }) })
            let report = await paced.session.report
            #expect(report.units == units.count && report.dropped == 0)
            #expect(report.speech == units.count(where: \.isSpeech))
        }
    }
}
