import Foundation
import Testing
import Viseme
import VisemeFFmpeg
import VisemeTestSupport

@testable import VisemeStreaming

@Suite(
    "Conversations", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"), .serialized)
struct ConversationTests {
    @Test(
        "200 utterances in requests of any size, interrupted anywhere: one end each, at most 40 ms from what was said",
        arguments: 0..<4)
    func utterances(seed: Int) async throws {
        var random = SeededRandom(seed)
        let paced = try await PacedConversation()
        var said: [String: Int] = [:]
        try await paced.next(3)
        for number in 0..<50 {
            let name = "u-\(seed).\(number)"
            let count =
                [0, 1, 640, 641, Int.random(in: 100...12_000, using: &random)].randomElement(using: &random) ?? 0
            var speech = Waves.tone(seconds: 0.75).prefix(count)
            repeat {
                let piece = speech.prefix(Int.random(in: 1...5000, using: &random))
                speech = speech.dropFirst(piece.count)
                // The last request may end the utterance, or another one does.
                let isWhole = speech.isEmpty && Bool.random(using: &random)
                #expect(try await paced.say(Array(piece), utterance: name, isWhole: isWhole).isInterrupted == false)
                try await paced.next([0, 1, 5, 13].randomElement(using: &random) ?? 0)
            } while !speech.isEmpty
            said[name] = count * 3
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                await paced.conversation.interrupt()
                let records = try await paced.next(1)
                #expect(records.last?.header.state != .speaking && records.last?.sound.allSatisfy { $0 == 0 } == true)
            case 1: try await paced.conversation.finish()
            default: break
            }
            // Ten seconds may wait.
            if number % 8 == 7 { try await paced.next(60) }
        }
        try await paced.conversation.finish()
        try await paced.next(300)
        _ = try await paced.end()
        let told = Told(paced.all)
        #expect(told.problems.isEmpty, "\(told.problems.prefix(5))")
        #expect(Set(told.ends.keys.filter { !$0.isEmpty }) == Set(said.keys))
        for (name, count) in said {
            let ends = told.ends[name] ?? []
            #expect(ends.count == 1, "\(name) has \(ends.count) ends")
            guard let end = ends.first else { continue }
            // Heard to the sample; said but for what the resampler rounds.
            #expect(end.position == told.heard[name, default: 0], "\(name)")
            if !end.isInterrupted { #expect(abs(end.position - count) <= 48, "\(name): \(end.position) of \(count)") }
            #expect(end.position <= count + 48)
        }
        #expect(told.ends.values.contains { $0[0].isInterrupted } && told.ends.values.contains { !$0[0].isInterrupted })
    }

    @Test("After ten interruptions in a row the session hears")
    func tenInterruptions() async throws {
        let paced = try await PacedConversation()
        try await paced.next(3)
        let long = Waves.tone(seconds: 3)
        for number in 0..<10 {
            try await paced.say(long, utterance: "long-\(number)")
            let before = try await paced.next(number * 2)
            await paced.conversation.interrupt()
            // The next unit, within 40 ms: the end is told, and nothing old sounds.
            let after = try await paced.next(1)
            let mark = try #require(after.first?.header)
            #expect(mark.flags == [.mark, .interrupted] && mark.utterance == "long-\(number)")
            #expect(mark.position == before.last { $0.header.state == .speaking }?.header.position ?? 0)
            #expect(after.last?.header.state == .idle && after.last?.header.epoch == UInt32(number + 1))
        }
        try await paced.say(Waves.tone(seconds: 0.5), utterance: "heard", isWhole: true)
        let told = Told(try await paced.next(40))
        #expect(told.ends["heard"]?.map(\.position) == [24_000] && told.firsts["heard"] == 1)
        _ = try await paced.end()
    }

    @Test("Speech that comes faster than it is spoken waits, and fails neither then nor at an interruption")
    func backPressure() async throws {
        let paced = try await PacedConversation()
        try await paced.next(3)
        let request = Task { try await paced.say(Waves.tone(seconds: 14), utterance: "fast", isWhole: true) }
        try await paced.fill()
        try await Task.sleep(for: .milliseconds(200))
        let queued = await paced.conversation.status().queuedSeconds
        #expect(queued > 8.5 && queued < 10.5, "\(queued) s wait")
        #expect(await paced.conversation.isSpeechRequested)
        let told = Told(try await paced.next(450))
        #expect(try await request.value.seconds == 14)
        #expect(told.ends["fast"]?.map(\.position) == [14 * 48_000])

        let second = Task { try await paced.say(Waves.tone(seconds: 30), utterance: "cut", isWhole: true) }
        try await paced.fill()
        try await paced.next(40)
        await paced.conversation.interrupt()
        #expect(try await second.value.isInterrupted)
        #expect(await paced.conversation.status().queuedSeconds == 0)
        _ = try await paced.end()
    }

    @Test(
        "A name is used once, names one open utterance, and is plain",
        arguments: [
            "", " ", "a b", "ä", "a\0b", "a/b", "%41", "\u{202E}x", String(repeating: "x", count: 65), "<script>",
            "a\r\nX: y",
        ])
    func names(hostile: String) async throws {
        let error = #expect(throws: VisemeError.self) { try UtteranceNames.check(hostile) }
        #expect(error?.code == .usage && error?.message.contains(hostile.isEmpty ? "0 bytes" : "bytes") == true)
        for good in ["a", "A-z_0.9:7", String(repeating: "x", count: 64)] { try UtteranceNames.check(good) }
    }

    @Test("A finished or interrupted utterance is not begun again")
    func reuse() async throws {
        let paced = try await PacedConversation()
        try await paced.next(3)
        let short = Waves.tone(seconds: 0.2)
        try await paced.say(short, utterance: "a")
        try await paced.say(short, utterance: "a")
        try await paced.say(short, utterance: "b")
        await #expect(throws: VisemeError.self) { try await paced.say(short, utterance: "a") }
        await paced.conversation.interrupt()
        let late = await #expect(throws: VisemeError.self) { try await paced.say(short, utterance: "b") }
        #expect(late?.code == .conflict, "what comes late of an interrupted utterance is not spoken")
        // Without a name, nothing is told by name.
        try await paced.say(short)
        try await paced.conversation.finish()
        let told = Told(try await paced.next(40))
        #expect(told.ends.keys.sorted() == ["", "a", "b"] && told.ends.values.allSatisfy { $0.count == 1 })
        _ = try await paced.end()
    }

    @Test("Many names are bounded, and the last thousands are remembered")
    func manyNames() throws {
        var names = UtteranceNames()
        for number in 0..<UtteranceNames.most {
            try names.checkNew("n\(number)")
            names.add("n\(number)", number: number)
        }
        let full = #expect(throws: VisemeError.self) { try names.checkNew("more") }
        #expect(full?.code == .busy)
        for number in 0..<UtteranceNames.most { #expect(names.end(number) == "n\(number)") }
        for number in 0..<UtteranceNames.remembered {
            names.add("m\(number)", number: nil)
        }
        try names.checkNew("n0")
        #expect(throws: VisemeError.self) { try names.checkNew("m0") }
    }

    @Test("The end of a session ends its utterances; a stream ends with a record that says so")
    func endOfSession() async throws {
        let paced = try await PacedConversation()
        try await paced.next(3)
        let listener = try await paced.conversation.listen {}.reader
        try await paced.say(Waves.tone(seconds: 2), utterance: "spoken")
        try await paced.next(20)
        let rest = try await paced.end()
        let told = Told(rest)
        #expect(told.ends["spoken"]?.count == 1 && told.ends["spoken"]?[0].isInterrupted == true)
        #expect(rest.last?.header.state == .ended && rest.last?.header.flags == .mark)
        var notices: [UtteranceNotice] = []
        for await case .utterance(let notice) in listener.elements { notices.append(notice) }
        #expect(notices.map(\.state) == [.started, .interrupted] && notices.allSatisfy { $0.id == "spoken" })
        #expect(notices[1].position == told.ends["spoken"]?[0].position && notices[1].rate == 48_000)
    }

    @Test("A request to finish an utterance that is being sent waits for its end")
    func earlyFinish() async throws {
        let paced = try await PacedConversation()
        try await paced.next(3)
        let request = Task { try await paced.say(Waves.tone(seconds: 12), utterance: "whole") }
        try await paced.fill()
        try await paced.conversation.finish()
        let told = Told(try await paced.next(400))
        #expect(try await request.value.isInterrupted == false)
        #expect(told.ends["whole"]?.map(\.position) == [12 * 48_000])
        _ = try await paced.end()
    }
}
