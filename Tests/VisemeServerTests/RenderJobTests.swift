import Foundation
import Testing
import VisemeTestSupport
@testable import VisemeServer

@Suite struct RenderJobTests {
    private static let failure = RenderJob.Failure(code: "bad-data", message: "noise", hint: nil)

    private static func job(
        id: String = "a", owner: String = "", key: String? = nil, digest: String = "d", frames: Int = 10
    ) -> RenderJob {
        RenderJob(
            id: id, owner: owner, client: owner, avatar: "tiny", createdAt: Date(timeIntervalSince1970: 1_000_000),
            idempotencyKey: key, digest: digest, framesTotal: frames)
    }

    private func follow(_ job: inout RenderJob, _ event: RenderJob.Event) {
        let isPossible = job.apply(event, at: .now)
        #expect(isPossible)
    }

    @Test("What happens to a job follows the table, and everything else changes nothing")
    func transitions() {
        let events: [(name: String, event: RenderJob.Event)] = [
            ("start", .start), ("suspend", .suspend), ("recover", .recover(resultBytes: nil)),
            ("found", .recover(resultBytes: 7)), ("finish", .finish(resultBytes: 9, frames: 11)),
            ("fail", .fail(Self.failure)),
        ]
        let table: [RenderJob.State: [String: RenderJob.State]] = [
            .queued: ["start": .running],
            .running: [
                "suspend": .queued, "recover": .queued, "found": .finished, "finish": .finished, "fail": .failed,
            ],
        ]
        let ways: [RenderJob.State: [RenderJob.Event]] = [
            .queued: [], .running: [.start], .finished: [.start, .finish(resultBytes: 1, frames: 1)],
            .failed: [.start, .fail(Self.failure)],
        ]
        for (state, way) in ways {
            for (name, event) in events {
                var job = Self.job()
                for step in way { follow(&job, step) }
                #expect(job.state == state)
                let before = job
                let next = table[state]?[name]
                let isPossible = job.apply(event, at: .now)
                #expect(isPossible == (next != nil), "\(name) while \(state)")
                #expect(job.state == next ?? state)
                if next == nil { #expect(job == before) }
                #expect(job.isEnded == (job.endedAt != nil))
            }
        }
    }

    @Test("A job that is running whenever the server dies is given up after ten times, one that is suspended never")
    func attempts() {
        var poisoned = Self.job()
        for time in 1...10 {
            follow(&poisoned, .start)
            follow(&poisoned, .recover(resultBytes: nil))
            #expect(poisoned.state == (time < 10 ? .queued : .failed))
        }
        #expect(poisoned.failure?.message.contains("10 times") ?? false)
        var patient = Self.job()
        for _ in 0..<20 {
            follow(&patient, .start)
            follow(&patient, .suspend)
        }
        #expect(patient.state == .queued && patient.attempts == 0)
    }

    @Test("Jobs are begun in the order in which they came, and are the same after the database was opened again")
    func storeKeepsOrder() async throws {
        try await withTemporaryFolder { folder in
            let file = folder.appending(path: "renders.sqlite")
            do {
                let store = try RenderStore(at: file)
                for id in ["c", "a", "b"] {
                    guard case .added = try await store.add(Self.job(id: id), .init(jobs: 10)) else {
                        Issue.record("\(id) was not added")
                        return
                    }
                }
                #expect(try await store.startNext()?.id == "c")
                #expect(try await store.update("c", .fail(Self.failure))?.state == .failed)
            }
            let store = try RenderStore(at: file)
            #expect(try await store.job("c")?.failure == Self.failure)
            #expect(try await store.startNext()?.id == "a")
            #expect(try await store.job("a")?.state == .running)
            #expect(try await store.startNext()?.id == "b")
            #expect(try await store.startNext() == nil)
            #expect(try await store.jobs(of: "", limit: 2).map(\.id) == ["b", "a"])
            #expect(try await store.counts() == (2, 3))
            #expect(try await store.remove("a"))
            #expect(try await store.remove("a") == false)
            #expect(try await store.update("a", .suspend) == nil)
            #expect(try await store.ids(endedBefore: .distantFuture) == ["c"])
            #expect(try store.recover { _ in nil } == ["b", "c"])
            #expect(try await store.job("b")?.state == .queued)
        }
    }

    @Test("A key with the same request gives the first job, with another one a conflict; keys of others do not count")
    func keys() async throws {
        try await withTemporaryFolder { folder in
            let store = try RenderStore(at: folder.appending(path: "renders.sqlite"))
            func add(_ job: RenderJob, limit: Int = 3) async throws -> String {
                switch try await store.add(job, .init(jobs: limit, jobsOfClient: 4, framesOfClient: 5000)) {
                case .added: "added"
                case .repeated(let before): "repeated \(before.id)"
                case .conflicting: "conflicting"
                case .full: "full"
                case .share: "share"
                }
            }
            #expect(try await add(Self.job(id: "1", owner: "o", key: "k", digest: "x")) == "added")
            #expect(try await add(Self.job(id: "2", owner: "o", key: "k", digest: "x")) == "repeated 1")
            #expect(try await add(Self.job(id: "3", owner: "o", key: "k", digest: "y")) == "conflicting")
            #expect(try await add(Self.job(id: "4", owner: "p", key: "k", digest: "y")) == "added")
            #expect(try await add(Self.job(id: "5", owner: "o")) == "added")
            #expect(try await add(Self.job(id: "6", owner: "o")) == "full")
            // Asking again is no new job, so there is always room for it.
            #expect(try await add(Self.job(id: "7", owner: "o", key: "k", digest: "x")) == "repeated 1")
        }
    }

    @Test(
        "Ranges are read as RFC 9110 has them",
        arguments: [
            (nil, ByteRange.whole), ("bytes=0-0", .part(0...0)), ("bytes=0-", .part(0...99)),
            ("bytes=10-19", .part(10...19)), ("bytes=10-1000", .part(10...99)), ("Bytes=99-", .part(99...99)),
            ("bytes=-1", .part(99...99)), ("bytes=-1000", .part(0...99)), ("bytes=-0", .unsatisfiable),
            ("bytes=100-", .unsatisfiable), ("bytes=100-200", .unsatisfiable), ("bytes=9-8", .whole),
            ("bytes=-", .whole), ("bytes=", .whole), ("lines=1-2", .whole), ("bytes=0-1,5-6", .whole),
            ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=5-99999999999999999999", .part(5...99)),
            ("bytes=-99999999999999999999", .part(0...99)), ("bytes= 1-2", .whole), ("bytes=٣-٤", .whole),
        ] as [(String?, ByteRange)])
    func ranges(header: String?, expected: ByteRange) {
        #expect(ByteRange(header, size: 100) == expected)
    }

    @Test("Of nothing there is no part")
    func rangesOfNothing() {
        #expect(ByteRange("bytes=0-", size: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-5", size: 0) == .unsatisfiable)
        #expect(ByteRange(nil, size: 0) == .whole)
    }
}
