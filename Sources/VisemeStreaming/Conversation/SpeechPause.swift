/// Detects pauses in arriving sound, so that a trickling upload does not keep a speaking slot.
struct SpeechPause {
    /// Samples that arrived in the present interval, at 16 kHz.
    var heard = 0
    private var since = ContinuousClock.now

    /// Whether an interval ends here in which less than a tenth of it was sound. The next interval then begins.
    mutating func isOver(at now: ContinuousClock.Instant, seconds: Int) -> Bool {
        guard now - since >= .seconds(seconds) else { return false }
        // A tenth of 16 kHz.
        let isQuiet = heard < seconds * 1600
        (heard, since) = (0, now)
        return isQuiet
    }
}
