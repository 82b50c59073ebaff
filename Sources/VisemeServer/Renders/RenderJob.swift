import Foundation
import Viseme

/// An accepted render job, as a state machine without clock or I/O.
///
/// After a crash the next start finds the job in one of these states, and `Event.recover` continues it.
struct RenderJob: Sendable, Equatable, Codable {
    /// The state of a job.
    enum State: String, Sendable, Codable, CaseIterable {
        /// Waiting to be rendered.
        case queued
        /// Being rendered, or was when the server crashed.
        case running
        /// The result exists under its final name.
        case finished
        /// There is no result; `failure` says why.
        case failed
    }

    /// An event of a job.
    enum Event: Sendable {
        /// Rendering starts.
        case start
        /// The server shuts down; the job is rendered again from the start.
        case suspend
        /// The server restarted; `resultBytes` is the size of the result if it exists under its final name.
        case recover(resultBytes: Int?)
        /// The result exists under its final name.
        case finish(resultBytes: Int, frames: Int)
        /// The render threw an error.
        case fail(Failure)
    }

    /// Why there is no result: a `VisemeError` that can be stored.
    struct Failure: Sendable, Equatable, Codable {
        var code: String
        var message: String
        var hint: String?
    }

    /// The most attempts: a job that was running at this many crashes probably causes them.
    static let mostAttempts = 10

    /// 128 random bits in hexadecimal.
    let id: String
    /// The owner: an API key's name. Clients see their own jobs only.
    let owner: String
    /// The client whose share of the queue it counts against: an API key's name, or else an address.
    let client: String
    /// The avatar's id.
    let avatar: String
    let createdAt: Date
    /// The client's `Idempotency-Key`.
    let idempotencyKey: String?
    /// Identifies the request: the avatar, and SHA-256 of the speech or the text.
    let digest: String
    /// The expected number of frames, from the container's duration; the actual number once it is finished.
    private(set) var framesTotal: Int
    private(set) var state = State.queued
    /// The number of attempts to render it.
    private(set) var attempts = 0
    private(set) var endedAt: Date?
    private(set) var resultBytes: Int?
    private(set) var failure: Failure?

    init(
        id: String, owner: String, client: String, avatar: String, createdAt: Date, idempotencyKey: String?,
        digest: String,
        framesTotal: Int
    ) {
        self.id = id
        self.owner = owner
        self.client = client
        self.avatar = avatar
        self.createdAt = createdAt
        self.idempotencyKey = idempotencyKey
        self.digest = digest
        self.framesTotal = framesTotal
    }

    /// Whether it is finished or failed.
    var isEnded: Bool { state == .finished || state == .failed }

    /// Applies an event.
    ///
    /// - Returns: Whether the event is valid in the present state; otherwise nothing changes.
    mutating func apply(_ event: Event, at time: Date) -> Bool {
        switch (state, event) {
        case (.queued, .start):
            state = .running
            attempts += 1
        case (.running, .suspend):
            state = .queued
            attempts -= 1
        case (.running, .recover(let bytes?)):
            end(.finished, at: time)
            resultBytes = bytes
        case (.running, .finish(let bytes, let frames)):
            end(.finished, at: time)
            resultBytes = bytes
            framesTotal = frames
        case (.running, .recover(nil)) where attempts < Self.mostAttempts:
            state = .queued
        case (.running, .recover(nil)):
            failure = Failure(
                code: VisemeError.Code.internal.rawValue,
                message: "The server crashed \(attempts) times while it rendered this.",
                hint: "Render it with 'viseme render' to see what happens.")
            end(.failed, at: time)
        case (.running, .fail(let reason)):
            failure = reason
            end(.failed, at: time)
        default: return false
        }
        return true
    }

    private mutating func end(_ state: State, at time: Date) {
        self.state = state
        endedAt = time
    }
}
