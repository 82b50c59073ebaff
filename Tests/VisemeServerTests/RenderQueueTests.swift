import Foundation
import GRDB
import Logging
import Testing
import Viseme
import VisemeFFmpeg
import VisemeTestSupport

@testable import VisemeServer

@Suite("Render queue", .serialized) struct RenderQueueTests {
    /// Holds the write lock of a queue's database, as a backup does.
    private struct DatabaseLock: Sendable {
        private let database: DatabaseQueue

        init(in folder: URL) throws {
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            database = try DatabaseQueue(
                path: folder.appending(path: "data/renders.sqlite").path, configuration: configuration)
        }

        func take() throws {
            try database.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
        }

        func giveBack() throws {
            try database.inDatabase { try $0.execute(sql: "ROLLBACK") }
        }
    }

    private static let id = String(repeating: "a", count: 32)

    /// Runs a queue whose only job fails while the database is locked, until that was noticed.
    private func withLockedDatabase(
        retryWait: Duration,
        _ body: (RenderQueue, DatabaseLock, Task<Void, any Error>) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            var configuration = ServerConfiguration()
            configuration.data = folder.appending(path: "data").path
            let files = try RenderFiles(root: URL(filePath: configuration.data).appending(path: "renders"))
            try files.create(Self.id)
            let store = try RenderStore(at: URL(filePath: configuration.data).appending(path: "renders.sqlite"))
            _ = try await store.add(
                RenderJob(
                    id: Self.id, owner: "", client: "", avatar: "none", createdAt: .now, idempotencyKey: nil,
                    digest: "", framesTotal: 25), .init(jobs: 9))
            let lock = try DatabaseLock(in: folder)
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let queue = try RenderQueue(
                configuration, media: FFmpeg(), logger: logger,
                avatar: { _ in
                    try lock.take()
                    throw VisemeError(.badData, "no such avatar")
                }, isSpeaking: { false }, retryWait: retryWait)
            let work = Task { try await queue.run() }
            try await eventually { await !queue.isUsable() }
            #expect(try await queue.job(Self.id)?.job.state == .running)
            try await body(queue, lock, work)
        }
    }

    @Test("A job whose end cannot be written while the database is locked is written later")
    func retry() async throws {
        try await withLockedDatabase(retryWait: .milliseconds(500)) { queue, lock, work in
            try lock.giveBack()
            try await eventually { try await queue.job(Self.id)?.job.state == .failed }
            try await eventually { await queue.isUsable() }
            work.cancel()
            try await work.value
        }
    }

    @Test("A server that stops does not wait for the next attempt, and makes it at once")
    func stop() async throws {
        try await withLockedDatabase(retryWait: .seconds(600)) { queue, lock, work in
            try lock.giveBack()
            let start = ContinuousClock.now
            work.cancel()
            try await work.value
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(try await queue.job(Self.id)?.job.state == .failed)
        }
    }
}
