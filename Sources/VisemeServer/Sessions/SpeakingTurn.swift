import Viseme

/// A session's place among those that speak, and the sound that waits for one.
struct SpeakingTurn {
    private let slots: SpeakingSlots
    private let client: String
    private let pauseSeconds: Int
    private var hasSlot = false
    /// Sound that waits until it is worth a slot, after one was lost because hardly any came.
    private var held: (samples: [Float], sound: [Float])?
    private var pause = SpeechPause()

    init(_ slots: SpeakingSlots, client: String, pauseSeconds: Int) {
        (self.slots, self.client, self.pauseSeconds) = (slots, client, pauseSeconds)
    }

    /// Takes a slot for speech that begins.
    ///
    /// - Throws: `.busy` when as many sessions speak as can.
    mutating func begin() throws {
        if held == nil { try take() }
    }

    /// Takes a slot for sound that came. It may have been lost while none came.
    ///
    /// - Parameter isLast: Whether nothing more of the utterance comes.
    /// - Returns: What may be said now: nothing, or the sound with what waited before it.
    /// - Throws: `.busy` when as many sessions speak as can.
    mutating func accept(
        _ samples: [Float], sound: [Float], isLast: Bool
    ) throws -> (samples: [Float], sound: [Float])? {
        var (samples, sound) = (samples, sound)
        if let held {
            (samples, sound) = (held.samples + samples, held.sound + sound)
            // A fifth of a second: a few bytes now and then must not keep others from speaking.
            guard samples.count >= 3200 || (isLast && !samples.isEmpty) else {
                self.held = (samples, sound)
                return nil
            }
        }
        guard !samples.isEmpty else { return nil }
        try take()
        pause.heard += samples.count
        return (samples, sound)
    }

    private mutating func take() throws {
        guard !hasSlot else { return }
        guard slots.take(for: client) else {
            throw VisemeError(
                .busy, "As many sessions speak as can, and more would make all of them stutter",
                hint: "At most \(slots.capacity) at once, \(slots.share) of one client.")
        }
        hasSlot = true
        held = nil
        pause = SpeechPause()
    }

    /// Gives the slot back when everything is said, or when hardly any sound came for some seconds.
    mutating func look(isSaid: Bool, isSpeaking: Bool, at now: ContinuousClock.Instant) {
        let isPausing = pause.isOver(at: now, seconds: pauseSeconds)
        // The few samples that a trickle leaves waiting do not keep a slot.
        guard hasSlot, isSaid || !isSpeaking && isPausing else { return }
        if !isSaid { held = held ?? ([], []) }
        end()
    }

    /// Forgets the sound that waits.
    mutating func interrupt() {
        if held != nil { held = ([], []) }
    }

    /// Gives the slot back.
    mutating func end() {
        if hasSlot { slots.giveBack(for: client) }
        hasSlot = false
    }
}
