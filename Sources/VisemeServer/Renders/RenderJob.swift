import Foundation
import Viseme

/// A render that was accepted: what is kept of it, and what may happen to it.
///
/// A value that is told what happened and knows what follows, without clock or I/O. Whenever the server dies, the next start finds one of
/// these states, and `Event.recover` says how it goes on.
struct RenderJob: Sendable, Equatable, Codable {
    /// Where a job is on its way.
    enum State: String, Sendable, Codable, CaseIterable {
        /// It waits for its turn.
        case queued
        /// It is being rendered, or was when the server died.
        case running
        /// The result has its final name.
        case finished
        /// There will be no result; `failure` says why.
        case failed
    }

    /// What can happen to a job.
    enum Event: Sendable {
        /// Its turn has come.
        case start
        /// The server stops in an orderly manner; the work done is lost, the job is not.
        case suspend
        /// The server has started again; `resultBytes` is the size of the result if that already had its final name.
        case recover(resultBytes: Int?)
        /// The result has its final name.
        case finish(resultBytes: Int, frames: Int)
        /// The render threw.
        case fail(Failure)
    }

    /// Why there is no result: a `VisemeError` that can be kept.
    struct Failure: Sendable, Equatable, Codable {
        var code: String
        var message: String
        var hint: String?
    }

    /// A job that was running each time when the server died is probably what kills it.
    static let mostAttempts = 10

    /// 128 random bits in hexadecimal: who knows it may see the job.
    let id: String
    /// Who asked for it; lists show one's own jobs only.
    let owner: String
    /// Whose share of the queue it counts in: an API key's name, or else an address.
    let client: String
    /// The avatar's id.
    let avatar: String
    let createdAt: Date
    /// The client's `Idempotency-Key`.
    let idempotencyKey: String?
    /// SHA-256 of everything that was asked for, the bytes of the speech included.
    let digest: String
    /// Frames that the result will have, by its container; once it is finished, those that it has.
    private(set) var framesTotal: Int
    private(set) var state = State.queued
    /// The number of times that it was begun.
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

    /// Whether nothing happens to it any more.
    var isEnded: Bool { state == .finished || state == .failed }

    /// Follows an event.
    ///
    /// - Returns: Whether the event can happen in the present state; nothing changes when it cannot.
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
                message: "The server died \(attempts) times while it rendered this.",
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
