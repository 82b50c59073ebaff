import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg
@testable import VisemeServer

@Suite(
    "Hostile and broken clients",
    .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"), .serialized)
struct HostileClientTests {
    /// What they do; the number makes every one a little different.
    enum Misdeed: Int, CaseIterable, Sendable {
        case garbage, halfHeader, halfUpload, garbageUpload, disconnectWhileWatching, neverReads, oversize, wrongKey
        case hugeHeader, chunkedNonsense

        func commit(_ number: Int, port: Int, _ session: Begun) throws {
            let client = try RawClient(port: port, receiveBuffer: self == .neverReads ? 4096 : nil)
            defer { client.close() }
            var random = SeededRandom(number)
            let noise = (0..<2000).map { _ in UInt8.random(in: 0...255, using: &random) }
            let secret = "Host: localhost\r\nViseme-Session-Secret: \(session.secret)\r\n"
            switch self {
            case .garbage:
                client.send(noise)
                _ = client.read(upTo: 4096)
            case .halfHeader: client.send("POST /v1/sessions HTTP/1.1\r\nHost: local")
            case .halfUpload:
                client.send("POST \(session.path)/audio HTTP/1.1\r\n\(secret)Content-Length: 100000\r\n\r\nRIFF")
                client.send(noise)
            case .garbageUpload:
                client.send("POST \(session.path)/audio HTTP/1.1\r\n\(secret)Content-Length: 2000\r\n\r\n")
                client.send(noise)
                _ = client.read(upTo: 100)
            case .disconnectWhileWatching:
                client.send("GET \(session.path)/stream.\(number % 2 == 0 ? "mp4" : "ts") HTTP/1.1\r\n\(secret)\r\n")
                _ = client.read(upTo: 500 + number)
            case .neverReads:
                client.send("GET \(session.path)/events HTTP/1.1\r\n\(secret)\r\n")
                Thread.sleep(forTimeInterval: 0.2)
            case .oversize:
                client.send("POST \(session.path)/audio HTTP/1.1\r\n\(secret)Content-Length: 99999999999999\r\n\r\n")
                client.send(noise)
                #expect(String(decoding: client.read(upTo: 20), as: UTF8.self).contains("413"))
            case .wrongKey:
                client.send("POST \(session.path)/audio?secret=\(number) HTTP/1.1\r\n")
                client.send("Host: localhost\r\nContent-Length: 2000\r\n\r\n")
                client.send(noise)
                #expect(String(decoding: client.read(upTo: 20), as: UTF8.self).contains("404"))
            case .hugeHeader:
                client.send("GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 200_000))\r\n\r\n")
                _ = client.read(upTo: 100)
            case .chunkedNonsense:
                client.send("POST \(session.path)/say HTTP/1.1\r\n\(secret)Transfer-Encoding: chunked\r\n\r\n")
                client.send("FFFFFFFFFFFFFFFFFF\r\nx")
                _ = client.read(upTo: 100)
            }
        }
    }

    @Test("200 of them: no crash, nothing left open, and another session goes on undisturbed")
    func crowd() async throws {
        try await TinyServer.test(.live) {
            $0.maxSpeaking = 8
            $0.maxSessionsPerClient = 8
        } _: { client in
            let port = try #require(client.port)
            let (good, victim) = (try await client.begin(), try await client.begin())
            func descriptors() -> Int {
                // Linux only: elsewhere nothing is compared.
                (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
            }

            // Somebody else watches meanwhile.
            async let watched = onThread {
                let reader = try RawClient(port: port)
                defer { reader.close() }
                reader.send("GET \(good.path)/stream.ts?secret=\(good.secret) HTTP/1.1\r\n")
                reader.send("Host: localhost\r\nConnection: close\r\n\r\n")
                return reader.read(upTo: .max)
            }
            try await Task.sleep(for: .milliseconds(500))
            let before = descriptors()
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    let misdeed = Misdeed.allCases[number % Misdeed.allCases.count]
                    group.addTask { try await onThread { try misdeed.commit(number, port: port, victim) } }
                    // Twenty at once.
                    if number >= 20 { try await group.next() }
                }
                try await group.waitForAll()
            }
            try await Task.sleep(for: .seconds(3))
            let took = ContinuousClock.now - start
            #expect(try await client.get("/health").status == .ok)
            #expect(descriptors() <= before + 2, "\(before) → \(descriptors())")
            // The victim itself still works.
            #expect(try await client.post(victim.path + "/interrupt", victim.headers).status == .noContent)
            let said = try await client.execute(
                uri: victim.path + "/audio?format=s16le&rate=16000", method: .post, headers: victim.headers,
                body: tone(seconds: 0.2))
            #expect(said.status == .accepted, "\(String(buffer: said.body))")
            _ = try await client.execute(uri: good.path, method: .delete, headers: good.headers)

            // Transport stream packets, whole and in step, all the time.
            let stream = try Self.body(ofChunks: await watched)
            #expect(stream.count % 188 == 0 && stream.count > 188 * 100, "\(stream.count) bytes")
            #expect(stride(from: 0, to: stream.count, by: 188).allSatisfy { stream[$0] == 0x47 })
            let metrics = String(buffer: try await client.get("/metrics").body)
            let dropped = metrics.firstMatch(of: /viseme_dropped_total (\d+)/).flatMap { Int($0.1) } ?? 0
            // Of both sessions; a machine that is busy with 20 clients may be late now and then.
            #expect(Double(dropped) < 0.2 * (took / .milliseconds(40)), "\(dropped) in \(took)")
        }
    }

    @Test("An utterance may be finished while an upload runs that goes on; the server lives, and says the rest")
    func finishDuringUpload() async throws {
        try await TinyServer.test(.live) { client in
            let session = try await client.begin()
            let port = try #require(client.port)
            let raw = try RawClient(port: port)
            var speech = tone(seconds: 1)
            func send(_ length: Int) {
                raw.send("\(String(length, radix: 16))\r\n")
                raw.send(Data(speech.readBytes(length: length) ?? []))
                raw.send("\r\n")
            }
            raw.send(
                "POST \(session.path)/audio?format=s16le&rate=16000 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    + "Viseme-Session-Secret: \(session.secret)\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<3 {
                send(6401)
                try await Task.sleep(for: .milliseconds(200))
                #expect(try await client.post(session.path + "/finish", session.headers).status == .noContent)
            }
            send(2001)
            raw.send("0\r\n\r\n")
            let answer = String(decoding: raw.read(upTo: 12), as: UTF8.self)
            #expect(answer.contains("202"), "\(answer)")
            #expect(try await client.get("/health").status == .ok)
        }
    }

    @Test("A client that waits for 100 Continue is told to go on, once, and one that is refused is not")
    func expectation() async throws {
        try await TinyServer.test(.live) { client in
            let session = try await client.begin()
            let port = try #require(client.port)
            func ask(_ path: String, origin: String = "") throws -> (client: RawClient, answer: String) {
                let raw = try RawClient(port: port)
                raw.send(
                    "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nViseme-Session-Secret: \(session.secret)\r\n"
                        + origin + "Expect: 100-continue\r\nContent-Length: 6400\r\n\r\n")
                return (raw, String(decoding: raw.read(upTo: 25), as: UTF8.self))
            }
            let (raw, first) = try ask(session.path + "/audio?format=s16le&rate=16000")
            #expect(first.hasPrefix("HTTP/1.1 100 Continue\r\n\r\n"), "\(first)")
            raw.send(Data(tone(seconds: 0.2).readableBytesView))
            #expect(String(decoding: raw.read(upTo: 12), as: UTF8.self).hasPrefix("HTTP/1.1 202"))
            let foreign = try ask(session.path + "/audio", origin: "Origin: https://elsewhere.example\r\n").answer
            #expect(foreign.hasPrefix("HTTP/1.1 403"), "\(foreign)")
        }
    }

    @Test("A few bytes now and then do not keep a speaking slot")
    func trickle() async throws {
        try await TinyServer.test(.live) {
            ($0.maxSpeaking, $0.speechPauseSeconds) = (1, 1)
        } _: { client in
            let (slow, other) = (try await client.begin(), try await client.begin())
            let raw = try RawClient(port: try #require(client.port))
            raw.send(
                "POST \(slow.path)/audio?format=s16le&rate=16000 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    + "Viseme-Session-Secret: \(slow.secret)\r\nTransfer-Encoding: chunked\r\n\r\n")
            var refusals = 0
            for i in 0..<25 {
                raw.send("2\r\nab\r\n")
                try await Task.sleep(for: .milliseconds(200))
                guard i >= 12 else { continue }
                let said = try await client.execute(
                    uri: other.path + "/audio?format=s16le&rate=16000", method: .post, headers: other.headers,
                    body: tone(seconds: 0.05))
                if said.status != .accepted { refusals += 1 }
            }
            #expect(refusals == 0)
            // What was held back is said when the upload ends, once there is a slot.
            raw.send("0\r\n\r\n")
            #expect(String(decoding: raw.read(upTo: 12), as: UTF8.self).contains("202"))
        }
    }

    /// The body of an answer in chunks.
    static func body(ofChunks answer: some Sequence<UInt8>) throws -> [UInt8] {
        let bytes = Array(answer)
        var body: [UInt8] = []
        var at = try #require(Data(bytes).range(of: Data("\r\n\r\n".utf8))).upperBound
        while let end = bytes[at...].firstIndex(of: 0x0D), end + 2 <= bytes.count {
            let length = try #require(Int(String(decoding: bytes[at..<end], as: UTF8.self), radix: 16))
            guard length > 0, end + 2 + length <= bytes.count else { break }
            body += bytes[(end + 2)..<(end + 2 + length)]
            at = end + 2 + length + 2
        }
        return body
    }
}
