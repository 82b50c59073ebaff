/// What a session does: the data of its events.
struct SessionStatus: Codable, Sendable, Equatable {
    /// What is seen.
    enum State: String, Codable, Sendable {
        /// Nobody speaks.
        case idle
        /// The mouth follows speech.
        case speaking
        /// A sentence goes on whose next samples have not come.
        case waiting
        /// It is over.
        case ended
    }

    /// A latency in milliseconds: the median and the 95th percentile of what happened so far.
    struct Latency: Codable, Sendable, Equatable {
        var median: Double
        var p95: Double
    }

    var state: State
    /// New pictures in the last second.
    var fps: Double
    /// Units of 40 ms since the beginning, pictures that could not be drawn in time, that came late, and gaps in the speech.
    var units: Int
    var dropped: Int
    var late: Int
    var starved: Int
    /// From the arrival of the audio that a sentence's first frame needs to that frame, and from an interruption to the first
    /// picture after it.
    var firstFrame: Latency?
    var interrupt: Latency?
    /// Speech that waits to be shown.
    var queuedSeconds: Double
    /// Streams of this session that are watched.
    var viewers: Int
}
