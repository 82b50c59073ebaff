import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import VisemeTestSupport
import Viseme
@testable import VisemeServer
import VisemeStreaming

@Suite("Routes", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct RouteTests {
    @Test("Avatars are known by id, and shown")
    func avatars() async throws {
        try await TinyServer.test { client in
            let list = try await client.get("/v1/avatars")
            let avatars = try JSONDecoder().decode(AvatarRoutes.List.self, from: Data(list.body.readableBytesView))
                .avatars
            let tiny = try #require(avatars.first { $0.id == "tiny" })
            #expect(tiny.width == 160 && tiny.height == 120 && tiny.frames == 6 && !tiny.consent.isEmpty)
            let picture = try await client.get("/v1/avatars/tiny/preview.png")
            #expect(picture.status == .ok && picture.body.getBytes(at: 1, length: 3) == Array("PNG".utf8))
            #expect(picture.headers[.xContentTypeOptions] == "nosniff")
            for id in ["none", "..", "%2e%2e%2ftiny.avatar", "tiny.avatar%2f"] {
                #expect(try await client.get("/v1/avatars/\(id)/preview.png").status == .notFound)
            }
        }
    }

    @Test("What is wrong with a request is answered with its code and status, as JSON")
    func errors() async throws {
        try await TinyServer.test { client in
            let session = try await client.begin()
            let (path, secret) = (session.path, session.headers)
            var wrong = secret
            wrong[.sessionSecret] = String(session.secret.reversed())
            let cases: [(HTTPRequest.Method, String, HTTPFields, String, HTTPResponse.Status, String)] = [
                (.get, "/nowhere", [:], "", .notFound, "not-found"),
                (.put, "/v1/sessions", [:], "", .methodNotAllowed, "usage"),
                (.post, "/v1/sessions", [:], "", .badRequest, "usage"),
                (.post, "/v1/sessions", [:], "[[[[", .badRequest, "usage"),
                (.post, "/v1/sessions", [:], #"{"avatar": 7}"#, .badRequest, "usage"),
                (.post, "/v1/sessions", [:], #"{"avatar": "../tiny"}"#, .notFound, "not-found"),
                (.post, "/v1/sessions", [:], String(repeating: "x", count: 100_000), .contentTooLarge, "too-large"),
                (.post, path + "/say", [:], #"{"text": "a"}"#, .unauthorized, "unauthorized"),
                (.post, path + "/say", wrong, #"{"text": "a"}"#, .notFound, "not-found"),
                (.post, "/v1/sessions/none/say", secret, #"{"text": "a"}"#, .notFound, "not-found"),
                (.post, path + "/say", secret, #"{"text": " "}"#, .badRequest, "usage"),
                (.post, path + "/say", secret, #"{"txt": "a"}"#, .badRequest, "usage"),
                (.post, path + "/say", secret, #"{"text": "a", "voice": "-x; rm"}"#, .badRequest, "usage"),
                (
                    .post, path + "/say", secret, #"{"text": "\#(String(repeating: "a", count: 2001))"}"#,
                    .contentTooLarge, "too-large"
                ),
                (.post, path + "/audio", secret, "", .badRequest, "bad-data"),
                (.post, path + "/audio", secret, String(repeating: "garbage", count: 40_000), .badRequest, "bad-data"),
                (.post, path + "/audio", secret, "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", .badRequest, "bad-data"),
                (.post, path + "/audio?format=s16le", secret, "", .badRequest, "usage"),
                (.post, path + "/audio?format=s16le&rate=7", secret, "", .badRequest, "usage"),
                (.post, path + "/audio?format=s24be&rate=16000", secret, "", .badRequest, "usage"),
                (
                    .post, path + "/audio?format=s16le&rate=16000&channels=999999999999999999999", secret, "",
                    .badRequest, "usage"
                ),
                (.get, path + "/stream.mp4", [:], "", .unauthorized, "unauthorized"),
                (.get, path + "/events?secret=none", [:], "", .notFound, "not-found"),
                (.get, "/health", [.origin: "https://evil.example"], "", .forbidden, "forbidden"),
            ]
            for (method, uri, headers, body, status, code) in cases {
                let answer = try await client.execute(
                    uri: uri, method: method, headers: headers, body: ByteBuffer(string: body))
                let text = String(buffer: answer.body)
                #expect(answer.status == status && answer.failure == code, "\(method) \(uri): \(answer.status) \(text)")
                #expect(!text.contains(TinyServer.packs.path), "\(text)")
            }
            #expect(try await client.execute(uri: path, method: .delete, headers: secret).status == .noContent)
        }
    }

    @Test("Keys open the API, secrets their session; the page and the health stay open")
    func keys() async throws {
        let key = ServerConfiguration.APIKey(name: "me", sha256: ModelFile.sha256(of: Data("open sesame".utf8)))
        try await TinyServer.test {
            $0.apiKeys = [key]
        } _: { client in
            for headers in [[:], [.authorization: "Bearer wrong"], [.authorization: "open sesame"]] as [HTTPFields] {
                for uri in ["/v1/avatars", "/metrics"] {
                    let answer = try await client.get(uri, headers)
                    #expect(answer.status == .unauthorized && answer.headers[.wwwAuthenticate] == "Bearer")
                }
                #expect(try await client.get("/health", headers).status == .ok)
            }
            let session = try await client.begin([.authorization: "Bearer open sesame"])
            #expect(try await client.post(session.path + "/interrupt?secret=\(session.secret)").status == .noContent)
            #expect(try await client.post(session.path + "/interrupt").status == .unauthorized)
        }
    }

    @Test("Only named origins and hosts are answered")
    func origins() async throws {
        try await TinyServer.test {
            $0.allowedOrigins = ["https://page.example"]
        } _: { client in
            let good: HTTPFields = [.origin: "https://page.example", .accessControlRequestMethod: "POST"]
            let answer = try await client.execute(uri: "/v1/sessions", method: .options, headers: good)
            #expect(answer.status == .noContent && answer.headers[.accessControlAllowOrigin] == "https://page.example")
            #expect(try await client.get("/health", [.origin: "http://localhost"]).status == .ok)
            let evil = try await client.get("/health", [.origin: "http://localhost.evil.example"])
            #expect(evil.status == .forbidden && evil.headers[.accessControlAllowOrigin] == nil)
        }
    }

    @Test("Beyond the capacity: 503 with Retry-After, and the sessions that run go on")
    func capacity() async throws {
        try await TinyServer.test {
            $0.maxSessions = 3
            $0.maxSessionsPerClient = 2
            $0.maxSpeaking = 1
        } _: { client in
            let first = try await client.begin()
            let second = try await client.begin()
            let third = try await client.post("/v1/sessions", [:], #"{"avatar":"tiny"}"#)
            #expect(third.status == .serviceUnavailable && third.failure == "busy")
            #expect(third.headers[.retryAfter] != nil)
            let uri = "/audio?format=s16le&rate=16000"
            let said = try await client.execute(
                uri: first.path + uri, method: .post, headers: first.headers, body: tone(seconds: 1.5))
            #expect(said.status == .accepted)
            let refused = try await client.execute(
                uri: second.path + uri, method: .post, headers: second.headers, body: tone(seconds: 0.5))
            #expect(refused.status == .serviceUnavailable && refused.headers[.retryAfter] != nil)
            // An interruption gives the slot back within some units.
            #expect(try await client.post(first.path + "/interrupt", first.headers).status == .noContent)
            try await eventually {
                try await client.execute(
                    uri: second.path + uri, method: .post, headers: second.headers, body: tone(seconds: 0.5)
                ).status == .accepted
            }
            _ = try await client.execute(uri: first.path, method: .delete, headers: first.headers)
            try await eventually {
                try await client.post("/v1/sessions", [:], #"{"avatar":"tiny"}"#).status == .created
            }
        }
    }

    @Test("A session that nobody calls or watches ends")
    func expiry() async throws {
        try await TinyServer.test {
            $0.sessionIdleSeconds = 1
        } _: { client in
            let session = try await client.begin()
            var called = ContinuousClock.now
            for _ in 0..<2 {
                try await Task.sleep(for: .milliseconds(700))
                let answer = try await client.post(session.path + "/finish", session.headers)
                // A machine that is too busy for the second has nothing to say about it.
                if ContinuousClock.now - called < .seconds(1) { #expect(answer.status == .noContent) }
                called = .now
            }
            try await eventually { try await client.figure("sessions") == 0 }
            #expect(ContinuousClock.now - called > .milliseconds(950))
            #expect(try await client.post(session.path + "/finish", session.headers).status == .notFound)
        }
    }

    @Test("An upload is bounded: by length where it is declared, by count, and by the length of its speech")
    func bounds() async throws {
        try await TinyServer.test {
            $0.maxBodyBytes = 40_000
            $0.maxSpeechSeconds = 1
        } _: { client in
            let session = try await client.begin()
            let uri = session.path + "/audio?format=s16le&rate=16000"
            let long = try await client.execute(
                uri: uri, method: .post, headers: session.headers, body: tone(seconds: 2))
            #expect(long.status == .contentTooLarge && long.failure == "too-large")
            let slow = session.path + "/audio?format=s16le&rate=8000"
            let spoken = try await client.execute(
                uri: slow, method: .post, headers: session.headers, body: ByteBuffer(repeating: 1, count: 30_000))
            #expect(spoken.status == .contentTooLarge)
        }
    }

    @Test("Ids name the server, and /ready tells the room that is left, until it is full")
    func room() async throws {
        try await TinyServer.test {
            $0.node = "a1"
            $0.maxSessions = 2
        } _: { client in
            try await eventually { try await client.get("/ready?room=2").status == .ok }
            let first = try await client.begin()
            #expect(first.id.wholeMatch(of: /a1-[0-9a-f]{24}/) != nil)
            #expect(try await client.get("/ready?room=2").status == .serviceUnavailable)
            #expect(String(buffer: try await client.get("/ready?room=1").body) == #"{"ready":true,"room":1}"#)
            _ = try await client.begin()
            let full = try await client.get("/ready?room=1")
            #expect(full.status == .serviceUnavailable && full.headers[.retryAfter] == "2")
            #expect(try await client.get("/ready").status == .ok, "it is well, and full")
            #expect(try await client.post("/v1/sessions", [:], "{}").status == .serviceUnavailable)
            _ = try await client.execute(uri: first.path, method: .delete, headers: first.headers, body: nil)
            try await eventually { try await client.get("/ready?room=1").status == .ok }
            for wrong in ["-1", "many"] {
                #expect(try await client.get("/ready?room=\(wrong)").status == .badRequest)
            }
        }
    }

    @Test("It is ready once an inference has run, and ends where none can")
    func readiness() async throws {
        try await TinyServer.test { client in
            var answer = try await client.get("/ready")
            for _ in 0..<200 where answer.status != .ok {
                #expect(answer.status == .serviceUnavailable)
                try await Task.sleep(for: .milliseconds(50))
                answer = try await client.get("/ready")
            }
            #expect(answer.status == .ok)
        }
        try await withTemporaryFolder { folder in
            var configuration = TinyServer.configuration(in: folder)
            configuration.defaultAvatar = "nobody"
            let server = try TinyServer.make(configuration)
            let error = await #expect(throws: VisemeError.self) { try await server.run() }
            #expect(error?.code == .notFound && error?.message.contains("nobody") == true)
        }
    }

    @Test("Metrics are lines that Prometheus reads, and count what happened")
    func metrics() async throws {
        try await TinyServer.test { client in
            _ = try await client.begin()
            try await eventually { try await client.figure("units_total") >= 25 }
            let text = String(buffer: try await client.get("/metrics").body)
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                #expect(
                    line.wholeMatch(of: /(viseme|process)_[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+/) != nil, "\(line)")
            }
            #expect(text.contains("viseme_sessions 1.0\n") && text.contains("viseme_sessions_total 1\n"))
        }
    }
}
