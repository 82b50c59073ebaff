import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeServer

@Suite("HTTP", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct HTTPTests {
    @Test("A method that an address does not have is 405 with Allow; HEAD is GET without the body")
    func methods() async throws {
        try await TinyServer.test { client in
            for (method, path, allow) in [
                (.put, "/v1/sessions", "POST"), (.delete, "/", "GET, HEAD"), (.post, "/health", "GET, HEAD"),
                (.get, "/v1/sessions", "POST"),
            ] as [(HTTPRequest.Method, String, String)] {
                let answer = try await client.execute(uri: path, method: method)
                #expect(answer.status == .methodNotAllowed && answer.headers[.allow] == allow, "\(method) \(path)")
                #expect(answer.failure == "usage")
            }
            for path in ["/", "/health", "/v1/avatars", "/openapi.json"] {
                let get = try await client.get(path)
                let head = try await client.execute(uri: path, method: .head)
                #expect(head.status == .ok && head.headers[.contentType] == get.headers[.contentType], "\(path)")
                #expect(head.body.readableBytes == 0)
            }
        }
    }

    @Test("Every response has the request id, errors too, and each its own")
    func requestIDs() async throws {
        try await TinyServer.test { client in
            var ids: Set<String> = []
            for path in ["/health", "/nowhere", "/v1/renders/none"] {
                ids.insert(try #require(try await client.get(path).headers[.requestID]))
            }
            #expect(ids.count == 3 && !ids.contains(""))
        }
    }

    @Test("null is not a value of a request's document")
    func null() async throws {
        try await TinyServer.test { client in
            let answer = try await client.post("/v1/sessions", [:], #"{"avatar": null}"#)
            #expect(answer.status == .badRequest && String(buffer: answer.body).contains("avatar"))
        }
    }

    @Test("Every metric has help and a type, and is there before it is counted")
    func metrics() async throws {
        try await TinyServer.test { client in
            let text = String(buffer: try await client.get("/metrics").body)
            let problems = Self.problems(in: text)
            #expect(problems.isEmpty, "\(problems)")
        }
    }

    /// Metrics without help, and those that are missing.
    private static func problems(in text: String) -> [String] {
        let lines = text.split(separator: "\n").map(String.init)
        let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { String($0.split(separator: " ")[2]) }
        let helpless = types.filter { name in !lines.contains { $0.hasPrefix("# HELP \(name) ") } }
        let wanted = [
            "viseme_sessions_failed_total 0", "viseme_slow_viewers_total 0",
            "viseme_refused_total{reason=\"speaking\"} 0", "viseme_build_info{version=\"\(Release.version)\"} 1",
            "viseme_http_request_seconds_count 0", "viseme_speech_start_seconds_count 0",
        ]
        let names = ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"]
        let hasProcess = FileManager.default.fileExists(atPath: "/proc/self/stat")
        let absent = names.filter { name in hasProcess && !lines.contains { $0.hasPrefix("process_\(name) ") } }
        return helpless + wanted.filter { !lines.contains($0) } + absent
    }
}
