package import Viseme

/// What a listener of a conversation is told.
package enum ConversationNotice: Sendable {
    /// The status changed, or a second has passed.
    case status(SessionStatus)
    /// A named utterance began or ended.
    case utterance(UtteranceNotice)
    /// What the mouth does from now on, for listeners that asked, and the middle of its unit in seconds of the session.
    case mouth(MouthShape, time: Double)
}

/// The beginning or the end of a named utterance. Each has one end.
package struct UtteranceNotice: Codable, Sendable, Equatable {
    /// What happened to it.
    package enum State: String, Codable, Sendable {
        /// Its first unit was given.
        case started
        /// Its last unit was given.
        case finished
        /// The rest of it was dropped.
        case interrupted
    }

    /// Its name.
    package var id: String
    package var state: State
    /// Samples of each channel of its sound that were given.
    package var position: Int
    /// Samples per second.
    package var rate: Int
}
