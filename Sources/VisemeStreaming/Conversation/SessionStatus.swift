/// The status of a session: the data of its events.
package struct SessionStatus: Codable, Sendable, Equatable {
    /// The state of a session.
    package enum State: String, Codable, Sendable {
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
    package struct Latency: Codable, Sendable, Equatable {
        package var median: Double
        package var p95: Double
    }

    package var state: State
    /// New pictures in the last second.
    package var fps: Double
    /// Since the beginning: units of 40 ms, dropped pictures, late units, and units without speech samples in time.
    package var units: Int
    package var dropped: Int
    package var late: Int
    package var starved: Int
    /// From the arrival of the audio of an utterance's first frame to that frame; from an interruption to the next picture.
    package var firstFrame: Latency?
    package var interrupt: Latency?
    /// Seconds of queued speech.
    package var queuedSeconds: Double
    /// The number of open streams, of video and of units.
    package var viewers: Int
}
