package import Viseme

/// The limits of a conversation.
package struct ConversationSettings: Sendable {
    /// The most viewers, and as many listeners to events.
    package var maxViewers = 4
    /// Seconds that a viewer may fall behind before its connection is closed.
    package var viewerLagSeconds = 4
    /// The most seconds of speech in one upload or text.
    package var maxSpeechSeconds = 600
    /// Seconds without sound after which an upload loses its speaking slot.
    package var speechPauseSeconds = 5
    /// Seconds after which a conversation without viewers and requests ends.
    package var idleSeconds = 60
    /// Seconds after which a conversation with viewers but without speech ends.
    package var quietSeconds = 900

    /// The defaults.
    package init() {}
}

/// What a conversation reports, for metrics.
package enum ConversationEvent: Sendable {
    /// Speech was refused, because no speaking slot was free.
    case refused
    /// Speech is shown for the first time since the request for it.
    case spoke(after: Duration)
    /// Viewers fell behind and were disconnected.
    case lostViewers(Int)
    /// The session's figures went from one report to the next.
    case worked(from: LiveReport, to: LiveReport)
}
