import Viseme
import VisemeStreaming

extension ServerConfiguration {
    /// The limits of a session.
    var conversation: ConversationSettings {
        var settings = ConversationSettings()
        settings.maxViewers = maxViewersPerSession
        settings.viewerLagSeconds = viewerLagSeconds
        settings.maxSpeechSeconds = maxSpeechSeconds
        settings.speechPauseSeconds = speechPauseSeconds
        settings.idleSeconds = sessionIdleSeconds
        settings.quietSeconds = sessionQuietSeconds
        return settings
    }

    /// The text-to-speech program.
    ///
    /// - Throws: `.unavailable` when there is none.
    func textToSpeech() throws -> SpeechCommand {
        try SpeechCommand(speechCommand, voice: voice, limit: .seconds(speechCommandSeconds))
    }
}

extension Metrics {
    /// Counts what a session did.
    func count(_ event: ConversationEvent) {
        switch event {
        case .refused: count("refused_total", label: ("reason", "speaking"))
        case .spoke(let duration): observe("speech_start_seconds", duration)
        case .lostViewers(let viewers): count("slow_viewers_total", by: viewers)
        case .worked(let before, let now):
            count("units_total", by: now.units - before.units)
            count("speech_units_total", by: now.speech - before.speech)
            count("dropped_total", by: now.dropped - before.dropped)
            count("late_total", by: now.late - before.late)
            count("starved_total", by: now.starved - before.starved)
            count("interrupts_total", by: now.interrupts - before.interrupts)
        }
    }
}
