import Testing
import Viseme

@testable import VisemeStreaming

@Suite("Speaking turns") struct SpeakingTurnTests {
    private static let pauseSeconds = 5

    private func sound(_ count: Int) -> [Float] { [Float](repeating: 0.5, count: count) }

    /// A time at which the pause that a turn just began is over.
    private var afterPause: ContinuousClock.Instant { .now + .seconds(Self.pauseSeconds + 1) }

    private func turn(_ slots: SpeakingSlots, client: String = "a") -> SpeakingTurn {
        SpeakingTurn(slots, client: client, pauseSeconds: Self.pauseSeconds)
    }

    /// Accepts sound as samples and as sound; the number of samples that come back, or nil.
    private func accept(_ turn: inout SpeakingTurn, _ count: Int, isLast: Bool = false) throws -> Int? {
        let accepted = try turn.accept(sound(count), sound: sound(3 * count), isLast: isLast)
        if let accepted { #expect(accepted.sound.count == 3 * accepted.samples.count) }
        return accepted?.samples.count
    }

    @Test("A pause is a time with less than a tenth of sound", arguments: [(0, true), (7999, true), (8000, false)])
    func pause(heard: Int, isQuiet: Bool) {
        var pause = SpeechPause()
        let start = ContinuousClock.now
        pause.heard = heard
        let tooEarly = pause.isOver(at: start + .seconds(4), seconds: 5)
        let first = pause.isOver(at: start + .seconds(6), seconds: 5)
        #expect(!tooEarly && pause.heard == 0)
        #expect(first == isQuiet)
        // The next time begins with nothing heard.
        let again = pause.isOver(at: start + .seconds(10), seconds: 5)
        let second = pause.isOver(at: start + .seconds(11), seconds: 5)
        #expect(!again && second)
    }

    @Test("One client cannot take more than its share of the slots")
    func share() {
        let slots = SpeakingSlots(2, share: 1)
        #expect(slots.take(for: "a") && !slots.take(for: "a") && slots.take(for: "b") && !slots.take(for: "c"))
        slots.giveBack(for: "a")
        #expect(slots.take(for: "c") && slots.isInUse)
    }

    @Test("A turn takes one slot, and gives it back when everything is said")
    func slot() throws {
        let slots = SpeakingSlots(1, share: 1)
        var (first, second) = (turn(slots), turn(slots, client: "b"))
        try first.begin()
        try first.begin()
        #expect(try accept(&first, 100) == 100)
        #expect(throws: VisemeError.self) { try second.begin() }
        #expect(throws: VisemeError.self) { _ = try accept(&second, 100) }
        first.look(isSaid: false, isSpeaking: true, at: afterPause)
        #expect(slots.isInUse, "a session that speaks keeps its slot through a pause")
        first.look(isSaid: true, isSpeaking: false, at: .now)
        #expect(!slots.isInUse)
        try second.begin()
        second.end()
        second.end()
        #expect(!slots.isInUse)
    }

    @Test("A turn without sound loses its slot, and takes one again with a fifth of a second of sound")
    func trickle() throws {
        let slots = SpeakingSlots(1, share: 1)
        var turn = turn(slots)
        try turn.begin()
        turn.look(isSaid: false, isSpeaking: false, at: .now)
        #expect(slots.isInUse)
        turn.look(isSaid: false, isSpeaking: false, at: afterPause)
        #expect(!slots.isInUse)
        try turn.begin()
        #expect(!slots.isInUse, "a new request alone takes no slot")
        #expect(try accept(&turn, 3199) == nil)
        #expect(!slots.isInUse)
        #expect(try accept(&turn, 1) == 3200)
        #expect(slots.isInUse)
        #expect(try accept(&turn, 1) == 1)
    }

    @Test("The end of an utterance says the sound that waits; an interruption drops it")
    func heldSound() throws {
        let slots = SpeakingSlots(1, share: 1)
        for isInterrupted in [false, true] {
            var turn = turn(slots)
            try turn.begin()
            turn.look(isSaid: false, isSpeaking: false, at: afterPause)
            #expect(try accept(&turn, 100) == nil)
            if isInterrupted { turn.interrupt() }
            #expect(try accept(&turn, 0, isLast: true) == (isInterrupted ? nil : 100))
            #expect(slots.isInUse == !isInterrupted)
            turn.end()
        }
    }

    @Test("A turn that keeps sending sound keeps its slot")
    func steady() throws {
        let slots = SpeakingSlots(1, share: 1)
        var turn = turn(slots)
        _ = try accept(&turn, 8000)
        turn.look(isSaid: false, isSpeaking: false, at: afterPause)
        #expect(slots.isInUse)
    }
}
