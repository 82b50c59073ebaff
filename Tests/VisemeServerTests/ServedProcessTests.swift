import Foundation
import NIOCore
import Testing
import VisemeTestSupport
import VisemeFFmpeg
@testable import VisemeServer

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite(
    "The program viseme serve", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"),
    .serialized)
struct ServedProcessTests {
    /// Watches a session until the server ends the response; the body without its chunks.
    private func watch(_ server: ServedProcess, _ session: Begun, _ kind: String) async throws -> Data {
        let port = try server.port
        let data = try await onThread {
            let client = try RawClient(port: port)
            defer { client.close() }
            client.send("GET \(session.path)/stream.\(kind)?secret=\(session.secret) HTTP/1.1\r\n")
            client.send("Host: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return client.read(upTo: .max)
        }
        let head = try #require(data.firstRange(of: Data("\r\n\r\n".utf8)))
        var (body, rest) = (Data(), data[head.upperBound...])
        while let line = rest.firstRange(of: Data("\r\n".utf8)) {
            let size = try #require(Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16))
            // The empty chunk says that nothing is missing.
            if size == 0 { return body }
            body += rest[line.upperBound..<line.upperBound + size]
            rest = rest[(line.upperBound + size + 2)...]
        }
        Issue.record("the stream was cut off")
        return body
    }

    @Test("SIGTERM: a session that speaks says it all, its stream is complete, the status is 0")
    func termination() async throws {
        try await withTemporaryFolder { folder in
            let server = try await ServedProcess(data: folder.appending(path: "data"))
            let session = try await server.begin()
            async let watched = watch(server, session, "mp4")
            try await eventually { try await server.figure("viewers") == 1 }
            try await server.say(session, seconds: 4)
            try await eventually { try await server.figure("speech_units_total") >= 10 }
            #expect(try await onThread { server.stop() } == 0)
            let file = folder.appending(path: "out.mp4")
            try await watched.write(to: file)
            #expect(try await complaints(of: "ffmpeg", ["-v", "warning", "-i", file.path, "-f", "null", "-"]).isEmpty)
            let summary = try await FFmpeg().probe(file)
            let (video, audio) = (try #require(summary.video), try #require(summary.audio))
            #expect(video.packets >= 100, "four seconds were accepted")
            #expect(abs(video.endSeconds - audio.endSeconds) < 0.04 + 2048 / 48000)
        }
    }

    @Test(
        "Draining: sessions go on with new connections and speak, none begins, and the server ends after the last one")
    func drain() async throws {
        try await withTemporaryFolder { folder in
            let server = try await ServedProcess(
                data: folder.appending(path: "data"), environment: ["VISEME_DRAIN_SECONDS": "50", "VISEME_NODE": "n7"])
            let (session, other) = (try await server.begin(), try await server.begin())
            #expect(session.id.hasPrefix("n7-"))
            let start = ContinuousClock.now
            async let status = onThread { server.stop() }
            let (port, address) = (try server.port, server.address)
            try await eventually { try await httpStatus(port, "GET", "/ready") == 503 }
            #expect(try await httpStatus(port, "POST", "/v1/sessions") == 503)
            for _ in 0..<3 { try await server.say(session, seconds: 0.3) }
            #expect(try await server.figure("sessions") == 2, "\(address)")
            try await server.delete(session)
            try await server.delete(other)
            #expect(try await status == 0)
            #expect(ContinuousClock.now - start < .seconds(40), "it does not wait for the limit")
        }
    }

    /// The status of a request on a connection of its own.
    private func httpStatus(_ port: Int, _ method: String, _ path: String) async throws -> Int {
        try await onThread {
            let client = try RawClient(port: port)
            defer { client.close() }
            client.send(
                "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            let line = String(decoding: client.read(upTo: .max).prefix(16), as: UTF8.self)
            return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }, "\(line)")
        }
    }

    @Test("Memory stays flat over sessions, speech and viewers who vanish; an hour of it with VISEME_MEASURE=1")
    func memory() async throws {
        let isLong = ProcessInfo.processInfo.environment["VISEME_MEASURE"] == "1"
        try await withTemporaryFolder { folder in
            let server = try await ServedProcess(data: folder.appending(path: "data"))
            let constant = try await server.begin()
            async let watched = watch(server, constant, "ts")
            let start = ContinuousClock.now
            var (first, last, rounds) = (0, 0, 0)
            while ContinuousClock.now - start < (isLong ? .seconds(3600) : .seconds(9)) {
                let passing = try await server.begin()
                let port = try server.port
                for misdeed in [HostileClientTests.Misdeed.disconnectWhileWatching, .halfUpload] {
                    try await onThread { [rounds] in try misdeed.commit(rounds, port: port, passing) }
                }
                try await server.say(constant, seconds: 0.5)
                try await server.delete(passing)
                rounds += 1
                last = try server.residentBytes()
                // What is loaded and kept at first is no growth.
                if ContinuousClock.now - start < (isLong ? .seconds(120) : .seconds(4)) { first = last }
                if isLong, rounds % 100 == 0 { print("memory: round \(rounds), \(last / 1_000_000) MB") }
            }
            print("memory: \(rounds) rounds, \(first / 1_000_000) → \(last / 1_000_000) MB")
            // Seconds show only what is gross: a heap grows by some megabytes whenever the machine is at its busiest.
            let allowed = isLong ? 1.05 * Double(first) : 1.1 * Double(first) + 10_000_000
            #expect(Double(last) < allowed, "\(first) → \(last) in \(rounds) rounds")
            try await server.delete(constant)
            _ = try await watched
            #expect(server.stop() == 0)
        }
    }
}

extension ServedProcess {
    fileprivate var port: Int {
        get throws { try #require(URL(string: address)?.port) }
    }

    private func send(_ method: String, _ path: String, _ body: Data = Data(), secret: String? = nil) async throws
        -> Data
    {
        var request = URLRequest(url: try #require(URL(string: address + path)))
        request.httpMethod = method
        if method == "POST" { request.httpBody = body }
        request.setValue(secret, forHTTPHeaderField: "Viseme-Session-Secret")
        let (data, response) = try await URLSession.shared.data(for: request)
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        #expect((200..<300).contains(status), "\(method) \(path): \(status) \(String(decoding: data, as: UTF8.self))")
        return data
    }

    fileprivate func figure(_ name: String) async throws -> Double {
        Figures(text: String(decoding: try await send("GET", "/metrics"), as: UTF8.self))[name]
    }

    fileprivate func begin() async throws -> Begun {
        try JSONDecoder().decode(
            Begun.self, from: try await send("POST", "/v1/sessions", Data(#"{"avatar":"tiny"}"#.utf8)))
    }

    fileprivate func say(_ session: Begun, seconds: Double) async throws {
        let speech = Data(tone(seconds: seconds).readableBytesView)
        _ = try await send(
            "POST", "\(session.path)/audio?format=s16le&rate=16000", speech, secret: session.secret)
    }

    fileprivate func delete(_ session: Begun) async throws {
        _ = try await send("DELETE", session.path, secret: session.secret)
    }
}
