/// The utterance that a unit speaks, and how far it has come.
public struct LiveUtterance: Sendable, Equatable {
    /// Its number in the session: what `beginUtterance()` gave, or the next one for samples that were pushed without.
    public let number: Int
    /// Samples of each channel of its sound that were given, this unit's included; the zeros that fill its last unit do not count.
    public let position: Int
    /// Whether this is its first unit.
    public let isFirst: Bool
    /// Whether this is its last unit. An utterance whose end was not known yet when its last unit was given ends in `LiveUnit.ends`.
    public let isLast: Bool

    /// The end of an utterance that was told by no unit of its own.
    public struct End: Sendable, Equatable {
        /// The utterance's number.
        public let number: Int
        /// Samples of each channel of its sound that were given in all.
        public let position: Int
        /// Whether it was interrupted; otherwise everything was given.
        public let isInterrupted: Bool
    }
}
