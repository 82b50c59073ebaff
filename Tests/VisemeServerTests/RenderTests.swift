import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg
@testable import VisemeServer

@Suite(
    "Render jobs", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"), .serialized)
struct RenderTests {
    private typealias Job = RenderRoutes.Document

    private func ask(
        _ client: any TestClientProtocol, _ body: ByteBuffer, query: String = "?avatar=tiny",
        _ headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await client.execute(uri: "/v1/renders\(query)", method: .post, headers: headers, body: body)
    }

    private func job(_ response: TestResponse) throws -> Job {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(Job.self, from: Data(response.body.readableBytesView))
    }

    /// Follows a job's events to their end.
    private func follow(_ client: any TestClientProtocol, _ id: String) async throws -> [Job] {
        let answer = try await client.get("/v1/renders/\(id)/events")
        #expect(answer.headers[.contentType]?.hasPrefix("text/event-stream") ?? false)
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try String(buffer: answer.body).split(separator: "\n").filter { $0.hasPrefix("data: ") }.map {
            try decoder.decode(Job.self, from: Data($0.dropFirst(6).utf8))
        }
    }

    @Test("A job's video is as long as its speech, comes in any parts, and goes with the job")
    func lifeCycle() async throws {
        try await TinyServer.test { client in
            let asked = try await ask(client, wave(tone(seconds: 2.5)))
            #expect(asked.status == .accepted)
            let accepted = try job(asked)
            let here = "/v1/renders/\(accepted.id)"
            #expect(asked.headers[.location] == here)
            #expect(accepted.framesTotal == 63 && accepted.avatar == "tiny")

            let events = try await follow(client, accepted.id)
            let last = try #require(events.last)
            #expect(last.state == .finished && last.framesDone == 63 && last.error == nil && last.endedAt != nil)
            #expect(events.map(\.framesDone) == events.map(\.framesDone).sorted())
            #expect(try await job(client.get(here)) == last)

            let whole = try await client.get("\(here)/result")
            let size = whole.body.readableBytes
            #expect(whole.status == .ok && size == last.resultBytes && whole.headers[.contentType] == "video/mp4")
            #expect(whole.headers[.acceptRanges] == "bytes" && whole.headers[.contentLength] == String(size))
            let tag = try #require(whole.headers[.eTag])
            try await withTemporaryFolder { folder in
                let file = folder.appending(path: "result.mp4")
                try Data(whole.body.readableBytesView).write(to: file)
                let summary = try await FFmpeg().probe(file)
                #expect(summary.video?.packets == 63)
                #expect(abs((summary.audio?.seconds ?? 0) - 2.5) < 0.05)
            }

            let head = try await client.execute(uri: "\(here)/result", method: .head, headers: [:], body: nil)
            #expect(head.status == .ok && head.body.readableBytes == 0 && head.headers[.contentLength] == String(size))
            func part(_ range: String, _ others: HTTPFields = [:]) async throws -> TestResponse {
                var headers = others
                headers[.range] = range
                return try await client.get("\(here)/result", headers)
            }
            for (range, expected) in [
                ("bytes=0-0", 0...0), ("bytes=100-", 100...size - 1), ("bytes=-17", size - 17...size - 1),
                ("bytes=5-9", 5...9),
            ] {
                let answer = try await part(range)
                #expect(answer.status == .partialContent)
                #expect(answer.headers[.contentRange] == "bytes \(expected.lowerBound)-\(expected.upperBound)/\(size)")
                #expect(
                    answer.body.readableBytesView.elementsEqual(
                        whole.body.readableBytesView.dropFirst(expected.lowerBound).prefix(expected.count)))
            }
            let outside = try await part("bytes=\(size)-")
            #expect(outside.status == .rangeNotSatisfiable && outside.failure == "usage")
            #expect(outside.headers[.contentRange] == "bytes */\(size)")
            #expect(try await part("bytes=0-9", [.ifRange: "\"other\""]).status == .ok)
            #expect(try await part("bytes=0-9", [.ifRange: tag]).status == .partialContent)
            #expect(try await client.get("\(here)/result", [.ifNoneMatch: tag]).status == .notModified)

            #expect(try await client.execute(uri: here, method: .delete, headers: [:], body: nil).status == .noContent)
            #expect(try await client.get(here).status == .notFound)
            #expect(try await client.get("\(here)/result").failure == "not-found")
        }
    }

    @Test("What cannot be rendered is refused when it is asked for, with the reason")
    func refusals() async throws {
        try await TinyServer.test(.router, { $0.maxBodyBytes = 200_000 }) { client in
            var random = SeededRandom(5)
            let noise = ByteBuffer(bytes: (0..<5000).map { _ in UInt8.random(in: 0...255, using: &random) })
            let list = ByteBuffer(string: "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
            for (body, query, headers, status) in [
                (noise, "?avatar=tiny", [:], 400), (ByteBuffer(), "?avatar=tiny", [:], 400),
                (wave(ByteBuffer()), "?avatar=tiny", [:], 400),
                (wave(tone(seconds: 1)), "?avatar=nobody", [:], 404),
                (wave(tone(seconds: 1)), "?avatar=../tiny.avatar", [:], 404),
                (wave(tone(seconds: 1)), "?avatar=%2e%2e%00", [:], 404),
                (wave(tone(seconds: 1)), "?avatar=tiny", [.contentType: "multipart/form-data; boundary=x"], 415),
                (wave(tone(seconds: 1)), "?avatar=tiny", [.idempotencyKey: String(repeating: "k", count: 201)], 400),
                (wave(tone(seconds: 1)), "?avatar=tiny", [.idempotencyKey: ""], 400),
                (wave(tone(seconds: 7)), "?avatar=tiny", [:], 413),
            ] as [(ByteBuffer, String, HTTPFields, Int)] {
                let answer = try await ask(client, body, query: query, headers)
                #expect(answer.status.code == status, "\(query) \(headers) \(String(buffer: answer.body))")
                #expect(answer.failure != nil)
                #expect(!String(buffer: answer.body).contains("/renders/"), "no path of the server in an answer")
            }
            #expect((400..<600).contains(try await ask(client, list).status.code))
            for id in ["nobody", "..%2f..", "%00", String(repeating: "x", count: 5000), "%F0%9F%98%80"] {
                for action in ["", "/events", "/result"] {
                    #expect(try await client.get("/v1/renders/\(id)\(action)").status == .notFound)
                }
                #expect(
                    try await client.execute(uri: "/v1/renders/\(id)", method: .delete, headers: [:], body: nil).status
                        == .notFound)
            }
            let list200 = try await client.get("/v1/renders")
            #expect(String(buffer: list200.body) == #"{"renders":[]}"#)
        }
    }

    @Test(
        "The same key with the same request gives the same job, however often and at once; with another one a conflict")
    func idempotency() async throws {
        try await TinyServer.test { client in
            let headers: HTTPFields = [.idempotencyKey: "one"]
            let answers = try await withThrowingTaskGroup(of: TestResponse.self) { group in
                for _ in 0..<8 { group.addTask { try await ask(client, wave(tone(seconds: 1)), headers) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0.failure == nil }, "\(answers.map { String(buffer: $0.body) })")
            let figures = String(buffer: try await client.get("/metrics").body)
            #expect(figures.contains("viseme_renders_kept 1.0\n"), "\(figures)")
            let ids = try answers.map { try job($0).id }
            #expect(Set(ids).count == 1)
            #expect(answers.count { $0.status == .accepted } == 1 && answers.count { $0.status == .ok } == 7)
            #expect(try await ask(client, wave(tone(seconds: 1.1)), headers).failure == "conflict")
            _ = try await follow(client, ids[0])
            let again = try await ask(client, wave(tone(seconds: 1)), headers)
            #expect(try again.status == .ok && job(again).state == .finished)
            let all = try JSONSerialization.jsonObject(
                with: Data(try await client.get("/v1/renders").body.readableBytesView))
            #expect(((all as? [String: Any])?["renders"] as? [Any])?.count == 1)
        }
    }

    @Test("A job that is removed while it runs stops, leaves nothing behind, and the next one goes on")
    func cancel() async throws {
        try await withTemporaryFolder { folder in
            let configuration = TinyServer.configuration(in: folder)
            try await TinyServer.make(configuration).application().test(.router) { client in
                let long = try job(try await ask(client, wave(tone(seconds: 200))))
                let next = try job(try await ask(client, wave(tone(seconds: 1))))
                while try await job(client.get("/v1/renders/\(long.id)")).framesDone == 0 {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(try await client.get("/v1/renders/\(long.id)/result").failure == "conflict")
                #expect(
                    try await client.execute(uri: "/v1/renders/\(long.id)", method: .delete, headers: [:], body: nil)
                        .status == .noContent)
                #expect(try await follow(client, next.id).last?.state == .finished)
                let left = try FileManager.default.contentsOfDirectory(atPath: "\(configuration.data)/renders")
                #expect(left == [next.id])
            }
        }
    }

    @Test("A text is rendered as the configured command speaks it; without one the answer says so")
    func text() async throws {
        try await withTemporaryFolder { folder in
            let spoken = folder.appending(path: "spoken.wav")
            try Data(wave(tone(seconds: 1)).readableBytesView).write(to: spoken)
            let type: HTTPFields = [.contentType: "text/plain; charset=utf-8"]
            // Reads everything first, as a speaker does.
            let speaker = ["sh", "-c", "cat >&2; cat '\(spoken.path)'"]
            try await TinyServer.test(.router, { $0.speechCommand = speaker }) { client in
                let asked = try await ask(client, ByteBuffer(string: "Hello; rm -rf $HOME"), type)
                #expect(try asked.status == .accepted && job(asked).framesTotal == 25)
                #expect(try await follow(client, job(asked).id).last?.state == .finished)
                let long = ByteBuffer(string: String(repeating: "word ", count: 5000))
                #expect(try await ask(client, long, type).failure == "too-large")
                #expect(try await ask(client, ByteBuffer(string: "x"), query: "?voice=-x", type).failure == "usage")
            }
            try await TinyServer.test(.router, { $0.speechCommand = ["no-such-program"] }) { client in
                let refused = try await ask(client, ByteBuffer(string: "Hello"), type)
                #expect(refused.status == .notImplemented)
            }
        }
    }

    @Test("Clients see their own jobs only")
    func owners() async throws {
        let keys = ["ada": "first secret", "bob": "second secret"]
        try await TinyServer.test(
            .router,
            { configuration in
                configuration.apiKeys = keys.map {
                    .init(name: $0.key, sha256: ModelFile.sha256(of: Data($0.value.utf8)))
                }
            }
        ) { client in
            func headers(_ name: String) -> HTTPFields { [.authorization: "Bearer \(keys[name] ?? "")"] }
            #expect(try await ask(client, wave(tone(seconds: 1))).status == .unauthorized)
            let id = try job(try await ask(client, wave(tone(seconds: 1)), headers("ada"))).id
            #expect(try await client.get("/v1/renders/\(id)", headers("ada")).status == .ok)
            #expect(try await client.get("/v1/renders/\(id)", headers("bob")).status == .notFound)
            #expect(String(buffer: try await client.get("/v1/renders", headers("bob")).body) == #"{"renders":[]}"#)
            #expect(
                try await client.execute(uri: "/v1/renders/\(id)", method: .delete, headers: headers("bob"), body: nil)
                    .status == .notFound)
        }
    }

    @Test("Who follows a job that is deleted learns it; the files are the server's alone")
    func deleted() async throws {
        try await withTemporaryFolder { folder in
            let configuration = TinyServer.configuration(in: folder)
            try await TinyServer.make(configuration).application().test(.router) { client in
                let id = try await job(ask(client, wave(tone(seconds: 60)))).id
                async let followed = client.get("/v1/renders/\(id)/events")
                try await Task.sleep(for: .milliseconds(500))
                _ = try await client.execute(uri: "/v1/renders/\(id)", method: .delete, headers: [:], body: nil)
                let events = String(buffer: try await followed.body)
                #expect(events.contains("event: deleted\ndata: {\"id\":\"\(id)\"}"), "\(events.suffix(200))")
                let names = try FileManager.default.contentsOfDirectory(atPath: configuration.data)
                    .filter { $0.hasPrefix("renders.sqlite") }
                #expect(names.count == 3)
                for name in names {
                    let file = try FileManager.default.attributesOfItem(atPath: "\(configuration.data)/\(name)")
                    #expect((file[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(name)")
                }
            }
        }
    }

    @Test(
        "After a crash a result that has its name is kept as it is, a draft is rendered anew, a folder of no job goes, what is not ours stays"
    )
    func recovery() async throws {
        try await withTemporaryFolder { folder in
            let configuration = TinyServer.configuration(in: folder)
            let files = try RenderFiles(root: URL(filePath: configuration.data).appending(path: "renders"))
            let store = try RenderStore(at: URL(filePath: configuration.data).appending(path: "renders.sqlite"))
            let named = String(repeating: "a", count: 32)
            let draft = String(repeating: "b", count: 32)
            for id in [named, draft] {
                try files.create(id)
                try Data(wave(tone(seconds: 1)).readableBytesView).write(to: files.speech(of: id))
                _ = try await store.add(
                    RenderJob(
                        id: id, owner: "", client: "", avatar: "tiny", createdAt: .now, idempotencyKey: nil, digest: "",
                        framesTotal: 25),
                    .init(jobs: 9))
                _ = try await store.startNext()
            }
            try Data("complete".utf8).write(to: files.result(of: named))
            try Data("half".utf8).write(to: files.draft(of: draft))
            try Data("half".utf8).write(to: files.folder(of: draft).appending(path: ".draft.partial-7.mp4"))
            try files.create(String(repeating: "c", count: 32))
            // Somebody else's folder under the same name.
            let holiday = files.root.appending(path: "holiday")
            try FileManager.default.createDirectory(at: holiday, withIntermediateDirectories: true)
            try Data("film".utf8).write(to: holiday.appending(path: "film.mp4"))
            try await TinyServer.make(configuration).application().test(.router) { client in
                #expect(try await follow(client, draft).last?.state == .finished)
                #expect(try await job(client.get("/v1/renders/\(named)")).resultBytes == 8)
                #expect(String(buffer: try await client.get("/v1/renders/\(named)/result").body) == "complete")
                #expect(
                    try FileManager.default.contentsOfDirectory(atPath: files.root.path).sorted() == [
                        named, draft, "holiday",
                    ])
                #expect(FileManager.default.fileExists(atPath: holiday.appending(path: "film.mp4").path))
                let left = try FileManager.default.contentsOfDirectory(atPath: files.folder(of: draft).path).sorted()
                #expect(left == ["result.mp4", "speech"])
                #expect(throws: VisemeError.self, "two servers on one folder") { try TinyServer.make(configuration) }
            }
        }
    }

    @Test("A render waits while somebody speaks, a second for each frame and no longer")
    func yielding() async throws {
        let media = YieldingMedia(media: NoMedia(), frameLimit: 2) { true }
        let writer = try await media.writer(VideoRequest(url: URL(filePath: "/"), width: 16, height: 16))
        let picture = Image(width: 16, height: 16)
        let start = ContinuousClock.now
        try await writer.append(picture)
        #expect((0.9...3).contains((ContinuousClock.now - start) / .seconds(1)))
        try await writer.append(picture)
        await #expect(throws: VisemeError.self) { try await writer.append(picture) }
    }
}

/// Media that write nothing.
private struct NoMedia: MediaBackend {
    struct Writer: VideoWriter {
        func append(_ frame: any Picture) async throws {}
        func finish() async throws -> VideoReport {
            VideoReport(frames: 0, videoSeconds: 0, audioSeconds: 0, sound: "")
        }
        func cancel() async {}
    }
    func speech(at url: URL) async throws -> any SpeechReader { throw CancellationError() }
    func template(at url: URL, memory: Int) async throws -> any TemplateReader { throw CancellationError() }
    func writer(_ request: VideoRequest) async throws -> any VideoWriter { Writer() }
}

/// 16-bit samples at 16 kHz as a WAV file.
func wave(_ samples: ByteBuffer) -> ByteBuffer {
    var file = ByteBuffer(string: "RIFF")
    file.writeInteger(UInt32(36 + samples.readableBytes), endianness: .little)
    file.writeString("WAVEfmt ")
    file.writeInteger(UInt32(16), endianness: .little)
    for value in [1, 1] as [UInt16] { file.writeInteger(value, endianness: .little) }
    for value in [16_000, 32_000] as [UInt32] { file.writeInteger(value, endianness: .little) }
    for value in [2, 16] as [UInt16] { file.writeInteger(value, endianness: .little) }
    file.writeString("data")
    file.writeInteger(UInt32(samples.readableBytes), endianness: .little)
    file.writeImmutableBuffer(samples)
    return file
}
