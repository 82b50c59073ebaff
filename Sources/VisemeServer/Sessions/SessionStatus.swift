/// The status of a session: the data of its events.
struct SessionStatus: Codable, Sendable, Equatable {
    /// The state of a session.
    enum State: String, Codable, Sendable {
        /// There is no speech.
        case idle
        /// The mouth follows speech.
        case speaking
        /// The next samples of an utterance are missing.
        case waiting
        /// The session has ended.
        case ended
    }

    /// A latency in milliseconds: median and 95th percentile since the session began.
    struct Latency: Codable, Sendable, Equatable {
        var median: Double
        var p95: Double
    }

    var state: State
    /// New pictures in the last second.
    var fps: Double
    /// Since the beginning: units of 40 ms, dropped pictures, late units, and units without speech samples in time.
    var units: Int
    var dropped: Int
    var late: Int
    var starved: Int
    /// From the arrival of the audio of an utterance's first frame to that frame; from an interruption to the next picture.
    var firstFrame: Latency?
    var interrupt: Latency?
    /// Seconds of queued speech.
    var queuedSeconds: Double
    /// The number of open video streams.
    var viewers: Int
}
