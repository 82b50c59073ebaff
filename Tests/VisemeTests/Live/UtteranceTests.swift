import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

/// Each utterance has one end, exact to the sample.
@Suite("Utterances")
struct UtteranceTests {
    private func engine(in folder: URL) async throws -> Engine {
        try await fakeEngine(in: folder, pack: TestPack(manifest: ["idle": [0, 5]]))
    }

    /// What was said and what was heard of it.
    private struct Said {
        var pushed: [Float] = []
        var heard: [Float] = []
        var position = 0
        var firsts = 0
        var ends: [(position: Int, isInterrupted: Bool)] = []
    }

    /// Listens to units; sound of an utterance that is over, or out of order, is an issue.
    private func hear(_ units: [LiveUnit], _ said: inout [Int: Said]) {
        for unit in units {
            for end in unit.ends {
                said[end.number, default: Said()].ends.append((end.position, end.isInterrupted))
            }
            guard let utterance = unit.utterance else { continue }
            var heard = said[utterance.number, default: Said()]
            #expect(heard.ends.isEmpty, "sound after the end of \(utterance.number)")
            if utterance.isFirst { heard.firsts += 1 }
            heard.heard += unit.sound.prefix(utterance.position - heard.position)
            #expect(unit.sound.dropFirst(utterance.position - heard.position).allSatisfy { $0 == 0 })
            heard.position = utterance.position
            if utterance.isLast { heard.ends.append((utterance.position, false)) }
            said[utterance.number] = heard
        }
    }

    private func check(_ said: [Int: Said], interrupted: Set<Int>) {
        for (number, utterance) in said {
            #expect(utterance.ends.count == 1, "utterance \(number) has \(utterance.ends.count) ends")
            guard let end = utterance.ends.first else { continue }
            #expect(end.position == utterance.heard.count, "utterance \(number)")
            #expect(utterance.heard == Array(utterance.pushed.prefix(end.position)), "utterance \(number)")
            #expect(utterance.firsts == (utterance.heard.isEmpty ? 0 : 1), "utterance \(number)")
            if !end.isInterrupted { #expect(end.position == utterance.pushed.count, "utterance \(number)") }
            if end.isInterrupted { #expect(interrupted.contains(number)) }
        }
    }

    @Test(
        "A thousand segments of any length, finished or interrupted anywhere: one end each, exact to the sample",
        arguments: 0..<20)
    func thousand(seed: Int) async throws {
        try await withTemporaryFolder { folder in
            var random = SeededRandom(seed)
            // What waits is not bounded here: nobody asks for units while the test pushes.
            let paced = try await PacedSession(engine(in: folder), buffer: .seconds(600))
            var said: [Int: Said] = [:]
            var interrupted: Set<Int> = []
            hear(try await paced.next(2), &said)
            for segment in 0..<50 {
                let number = try #require(await paced.session.beginUtterance())
                said[number] = Said()
                let isInterrupted = Int.random(in: 0..<3, using: &random) == 0
                var left =
                    [0, 1, 639, 640, 641, Int.random(in: 2...12_000, using: &random)].randomElement(using: &random) ?? 0
                if segment % 7 == 0 { left = Int.random(in: 8000...16_000, using: &random) }
                while left > 0 {
                    let samples = noise(min(left, Int.random(in: 1...6000, using: &random)), seed: seed * 50 + segment)
                    let isTaken = try await paced.session.push(samples, utterance: number)
                    #expect(isTaken)
                    said[number]?.pushed += samples
                    left -= samples.count
                    // Faster than it is spoken, at its pace, or with a pause after which the utterance goes on.
                    let pause = [0, 0, 3, 6, 14][Int.random(in: 0..<5, using: &random)]
                    hear(try await paced.next(pause), &said)
                }
                if isInterrupted {
                    hear(try await paced.next(Int.random(in: 0..<12, using: &random)), &said)
                    interrupted.formUnion(said.filter { $0.value.ends.isEmpty }.keys)
                    await paced.session.interrupt()
                    hear(try await paced.next(1), &said)
                    #expect(said.values.allSatisfy { $0.ends.count == 1 }, "the next unit tells all ends")
                } else if Bool.random(using: &random) {
                    await paced.session.finish(number)
                }
                // Sometimes the next one waits behind this one.
                hear(try await paced.next([0, 2, 30][Int.random(in: 0..<3, using: &random)]), &said)
            }
            _ = await paced.session.beginUtterance()
            while said.values.contains(where: { $0.ends.isEmpty }) {
                let before = said.values.count { $0.ends.isEmpty }
                hear(try await paced.next(60), &said)
                try #require(said.values.count { $0.ends.isEmpty } < before || before == 0, "\(before) have no end")
            }
            #expect(said.count == 50)
            check(said, interrupted: interrupted)
        }
    }

    @Test("Samples without an utterance make one of their own, which a pause ends")
    func automatic() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(engine(in: folder))
            var said: [Int: Said] = [:]
            hear(try await paced.next(2), &said)
            for number in 1...3 {
                let samples = noise(3000, seed: number)
                try await paced.session.push(samples)
                said[number] = Said(pushed: samples)
                if number == 2 { await paced.session.finish() } else { hear(try await paced.next(30), &said) }
            }
            hear(try await paced.next(60), &said)
            #expect(said.keys.sorted() == [1, 2, 3])
            check(said, interrupted: [])
        }
    }

    @Test("An utterance that is over takes no samples; one that pauses does, and ends when it is finished")
    func over() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(engine(in: folder))
            _ = try await paced.next(2)
            let first = try #require(await paced.session.beginUtterance())
            try await paced.session.push(noise(3000, seed: 1), utterance: first)
            var units = try await paced.next(60)
            #expect(units.allSatisfy { $0.utterance?.isLast != true && $0.ends.isEmpty }, "a pause is no end")
            await paced.session.finish()
            #expect(try await paced.next(1)[0].ends.isEmpty, "it is finished by its number alone")
            await paced.session.finish(first)
            units = try await paced.next(1)
            #expect(units[0].ends == [.init(number: first, position: 3000, isInterrupted: false)])
            #expect(try await paced.session.push([0.1], utterance: first) == false)
            let second = try #require(await paced.session.beginUtterance())
            #expect(try await paced.session.push([0.1], utterance: first) == false)
            await paced.session.finish(first)
            #expect(try await paced.session.push([0.1], utterance: second), "the end of another one is not its end")
            #expect(await paced.session.beginUtterance(epoch: 7) == nil)
            await paced.session.interrupt()
            #expect(try await paced.session.push([0.1], utterance: second) == false)
            units = try await paced.next(1)
            #expect(units[0].ends == [.init(number: second, position: 0, isInterrupted: true)] && units[0].epoch == 1)
        }
    }

    @Test("What has no unit any more is told when the session is over")
    func remaining() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(engine(in: folder))
            _ = try await paced.next(2)
            let number = try #require(await paced.session.beginUtterance())
            try await paced.session.push(noise(16_000, seed: 1), utterance: number)
            _ = try await paced.next(10)
            await paced.session.interrupt()
            await paced.session.end()
            try await paced.settle()
            #expect(try await paced.session.next() == nil)
            let ends = await paced.session.remainingEnds()
            #expect(ends.map(\.number) == [number] && ends.allSatisfy { $0.isInterrupted && $0.position > 0 })
            #expect(await paced.session.remainingEnds().isEmpty)
        }
    }

    @Test("Many short utterances are bounded like one long one")
    func many() async throws {
        try await withTemporaryFolder { folder in
            let paced = try await PacedSession(engine(in: folder), buffer: .seconds(1))
            let pushed = Gauge()
            let producer = Task {
                for _ in 0..<200 {
                    try await paced.session.push([0.1])
                    await paced.session.finish()
                    pushed.enter()
                }
            }
            while pushed.total < 25 { try await Task.sleep(for: .milliseconds(5)) }
            try await Task.sleep(for: .milliseconds(300))
            // 25 wait, and some are planned.
            #expect(pushed.total <= 55, "\(pushed.total)")
            producer.cancel()
            _ = await producer.result
        }
    }
}
