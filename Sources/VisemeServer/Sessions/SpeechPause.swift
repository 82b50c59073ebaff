/// Sound that came since the last look: an upload that only trickles must not keep others from speaking.
struct SpeechPause {
    var heard = 0
    private var since = ContinuousClock.now

    /// Whether hardly any sound came for some seconds; counting begins anew after each such time.
    mutating func isOver(at now: ContinuousClock.Instant, seconds: Int) -> Bool {
        guard now - since >= .seconds(seconds) else { return false }
        // A tenth of what is spoken in that time.
        let isQuiet = heard < seconds * 1600
        (heard, since) = (0, now)
        return isQuiet
    }
}
