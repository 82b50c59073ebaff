extension Session {
    /// What the session needs of the server.
    struct Dependencies: Sendable {
        var configuration: ServerConfiguration
        var slots: SpeakingSlots
        var metrics: Metrics
    }
}
