import Viseme

/// A session's use of a speaking slot, and the sound that waits for one.
struct SpeakingTurn {
    private let slots: SpeakingSlots
    private let client: String
    private let pauseSeconds: Int
    private var hasSlot = false
    /// Sound that waits until there is enough for a slot, after one was lost in a pause; nil while nothing has to wait.
    private var held: (samples: [Float], sound: [Float])?
    private var pause = SpeechPause()

    init(_ slots: SpeakingSlots, client: String, pauseSeconds: Int) {
        (self.slots, self.client, self.pauseSeconds) = (slots, client, pauseSeconds)
    }

    /// Takes a slot for speech that begins.
    ///
    /// - Throws: `.busy` when no slot is free.
    mutating func begin() throws {
        if held == nil { try take() }
    }

    /// Takes a slot for arriving sound, if a pause lost it.
    ///
    /// - Parameter isLast: Whether this is the end of the utterance.
    /// - Returns: The sound to speak, with the sound that waited before it; nil while it waits.
    /// - Throws: `.busy` when no slot is free.
    mutating func accept(
        _ samples: [Float], sound: [Float], isLast: Bool
    ) throws -> (samples: [Float], sound: [Float])? {
        var (samples, sound) = (samples, sound)
        if let held {
            (samples, sound) = (held.samples + samples, held.sound + sound)
            // 0.2 s: a trickle of bytes must not occupy a slot.
            guard samples.count >= 3200 || (isLast && !samples.isEmpty) else {
                self.held = (samples, sound)
                return nil
            }
        }
        guard !samples.isEmpty || !sound.isEmpty else { return nil }
        try take()
        pause.heard += samples.count
        return (samples, sound)
    }

    private mutating func take() throws {
        guard !hasSlot else { return }
        guard slots.take(for: client) else {
            throw VisemeError(
                .busy, "All speaking slots are in use",
                hint: "At most \(slots.capacity) sessions speak at once, \(slots.share) of one client. Try again later."
            )
        }
        hasSlot = true
        held = nil
        pause = SpeechPause()
    }

    /// Returns the slot when everything is said, or after a pause in the sound.
    mutating func look(isSaid: Bool, isSpeaking: Bool, at now: ContinuousClock.Instant) {
        let isPausing = pause.isOver(at: now, seconds: pauseSeconds)
        // A few waiting samples do not keep the slot.
        guard hasSlot, isSaid || !isSpeaking && isPausing else { return }
        if !isSaid { held = held ?? ([], []) }
        end()
    }

    /// Drops the sound that waits.
    mutating func interrupt() {
        if held != nil { held = ([], []) }
    }

    /// Returns the slot.
    mutating func end() {
        if hasSlot { slots.giveBack(for: client) }
        hasSlot = false
    }
}
