import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeServer

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite(
    "Limits of renders and avatars",
    .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"), .serialized)
struct RenderLimitTests {
    private typealias Job = RenderRoutes.Document

    private func ask(
        _ client: any TestClientProtocol, _ body: ByteBuffer, avatar: String = "tiny", _ headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await client.execute(uri: "/v1/renders?avatar=\(avatar)", method: .post, headers: headers, body: body)
    }

    private func job(_ response: TestResponse) throws -> Job {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(Job.self, from: Data(response.body.readableBytesView))
    }

    @Test("A server whose database is broken is not ready")
    func brokenDatabase() async throws {
        try await withTemporaryFolder { folder in
            let configuration = TinyServer.configuration(in: folder)
            try await TinyServer.make(configuration).application().test(.router) { client in
                try await eventually { try await client.get("/ready").status == .ok }
                let database = try DatabaseQueue(path: "\(configuration.data)/renders.sqlite")
                try await database.write { try $0.execute(sql: "DROP TABLE renders") }
                #expect(try await client.get("/ready").status == .serviceUnavailable)
                #expect(try await client.get("/health").status == .ok)
            }
        }
    }

    @Test(
        "An avatar in use keeps its place in memory: a render holds it to its end; then another avatar takes the place")
    func loadedAvatars() async throws {
        try await withTemporaryFolder { folder in
            let packs = folder.appending(path: "packs")
            try FileManager.default.createDirectory(at: packs, withIntermediateDirectories: true)
            for name in ["a.avatar", "b.avatar"] {
                try FileManager.default.copyItem(
                    at: TinyServer.packs.appending(path: "tiny.avatar"), to: packs.appending(path: name))
            }
            var configuration = TinyServer.configuration(in: folder)
            configuration.avatars = [packs.path]
            configuration.defaultAvatar = "a"
            configuration.maxLoadedAvatars = 1
            try await TinyServer.make(configuration).application().test(.router) { client in
                try await eventually { try await client.get("/ready").status == .ok }
                let render = try job(try await ask(client, wave(tone(seconds: 200)), avatar: "a"))
                try await eventually { try await job(client.get("/v1/renders/\(render.id)")).framesDone > 0 }
                let other = #"{"avatar":"b"}"#
                let refused = try await client.post("/v1/sessions", [:], other)
                #expect(refused.status == .serviceUnavailable && refused.failure == "busy")
                _ = try await client.execute(uri: "/v1/renders/\(render.id)", method: .delete, headers: [:], body: nil)
                try await eventually { try await client.post("/v1/sessions", [:], other).status == .created }
                let back = try await client.post("/v1/sessions", [:], #"{"avatar":"a"}"#)
                #expect(back.status == .serviceUnavailable && back.failure == "busy")
            }
        }
    }

    @Test("Uploads and results take no more than maxDataBytes: checked when an upload begins, and while it grows")
    func dataBytes() async throws {
        let first = wave(tone(seconds: 1))
        try await TinyServer.test(.router, { $0.maxDataBytes = first.readableBytes }) { client in
            let grows = try await ask(client, wave(tone(seconds: 1.1)))
            #expect(grows.status.code == 507 && grows.failure == "full")
            #expect(try await ask(client, first).status == .accepted, "the refused upload left nothing behind")
            // An empty body: only the check at the beginning can refuse it.
            let begins = try await ask(client, ByteBuffer())
            #expect(begins.status.code == 507 && begins.failure == "full")
        }
        // As `viseme serve` does: the program's output is not read to its end.
        signal(SIGPIPE, SIG_IGN)
        let speaker = ["sh", "-c", "cat >&2; head -c 1000000 /dev/zero"]
        try await TinyServer.test(
            .router,
            {
                $0.maxDataBytes = 100_000
                $0.speechCommand = speaker
            }
        ) { client in
            let spoken = try await ask(client, ByteBuffer(string: "Hello"), [.contentType: "text/plain"])
            #expect(spoken.status.code == 507 && spoken.failure == "full", "\(String(buffer: spoken.body))")
        }
    }

    @Test("A text that is sent again with its key is not spoken again")
    func textRetry() async throws {
        try await withTemporaryFolder { folder in
            let spoken = folder.appending(path: "spoken.wav")
            try Data(wave(tone(seconds: 1)).readableBytesView).write(to: spoken)
            let runs = folder.appending(path: "runs")
            let speaker = ["sh", "-c", "cat >&2; echo run >> '\(runs.path)'; cat '\(spoken.path)'"]
            try await TinyServer.test(.router, { $0.speechCommand = speaker }) { client in
                let headers: HTTPFields = [.contentType: "text/plain", .idempotencyKey: "one"]
                let first = try await ask(client, ByteBuffer(string: "Hello"), headers)
                let second = try await ask(client, ByteBuffer(string: "Hello"), headers)
                #expect(first.status == .accepted && second.status == .ok)
                #expect(try job(first).id == job(second).id && second.headers[.location] == first.headers[.location])
                #expect(try await ask(client, ByteBuffer(string: "Goodbye"), headers).failure == "conflict")
                #expect(try String(contentsOf: runs, encoding: .utf8) == "run\n")
            }
        }
    }
}
