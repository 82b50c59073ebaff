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
import VisemeModels
import VisemeONNX
@testable import VisemeServer

/// A server over the tiny pack: six small frames, networks of a few kilobytes.
enum TinyServer {
    static let packs = Repository.root.appending(path: "Tests/VisemeCLITests/Golden")

    static func configuration(in folder: URL) -> ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.port = 0
        configuration.avatars = [packs.path]
        configuration.defaultAvatar = "tiny"
        configuration.data = folder.appending(path: "data").path
        configuration.maxSpeaking = 4
        return configuration
    }

    static func make(
        _ configuration: ServerConfiguration, examine: (@Sendable (URL) async throws -> Void)? = nil,
        onReady: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> VisemeServer.Server {
        let library: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try VisemeServer.Server(
            configuration, media: FFmpeg(), logger: logger,
            makeEngine: { avatar in
                let backend = TranslatingBackend(splitting: try ONNXBackend(libraryPath: library))
                return try await Engine(avatar, backend: backend, media: FFmpeg(), judge: WeightJudge())
            }, examine: examine, onReady: onReady)
    }

    /// Runs a test against the router, or against a socket.
    static func test(
        _ framework: TestingSetup = .router, _ change: (inout ServerConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (any TestClientProtocol) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            var configuration = configuration(in: folder)
            change(&configuration)
            try await make(configuration).application().test(framework) { client in try await body(client) }
        }
    }
}

/// A session that a test began.
struct Begun: Decodable, Sendable {
    var id: String
    var secret: String
    var codecs: String
    var path: String { "/v1/sessions/\(id)" }
    var headers: HTTPFields { [.sessionSecret: secret] }
}

extension TestClientProtocol {
    func begin(_ headers: HTTPFields = [:], avatar: String = "tiny") async throws -> Begun {
        let answer = try await execute(
            uri: "/v1/sessions", method: .post, headers: headers, body: ByteBuffer(string: #"{"avatar":"\#(avatar)"}"#))
        try #require(answer.status == .created, "\(String(buffer: answer.body))")
        return try JSONDecoder().decode(Begun.self, from: Data(answer.body.readableBytesView))
    }

    func post(_ uri: String, _ headers: HTTPFields = [:], _ body: String = "") async throws -> TestResponse {
        try await execute(uri: uri, method: .post, headers: headers, body: ByteBuffer(string: body))
    }

    func get(_ uri: String, _ headers: HTTPFields = [:]) async throws -> TestResponse {
        try await execute(uri: uri, method: .get, headers: headers, body: nil)
    }
}

extension TestResponse {
    /// The code of an error.
    var failure: String? {
        try? JSONDecoder().decode(FailureDocument.self, from: Data(body.readableBytesView)).error.code
    }
}

/// Waits for something that comes when the machine has time for it.
func eventually(_ condition: () async throws -> Bool) async throws {
    let start = ContinuousClock.now
    while try await !condition() {
        try #require(ContinuousClock.now - start < .seconds(60), "it never came")
        try await Task.sleep(for: .milliseconds(30))
    }
}

extension TestClientProtocol {
    /// A figure out of `/metrics`; 0 where it is not there.
    func figure(_ name: String) async throws -> Double {
        Figures(text: String(buffer: try await get("/metrics").body))[name]
    }
}

/// What `/metrics` says.
struct Figures {
    var text: String

    /// The figure with a name; 0 where it is not there.
    subscript(name: String) -> Double {
        let line = text.split(separator: "\n").first { $0.hasPrefix("viseme_\(name) ") }
        return line?.split(separator: " ").last.flatMap { Double($0) } ?? 0
    }
}

/// A swelling tone as 16-bit samples at 16 kHz.
func tone(seconds: Double) -> ByteBuffer {
    var buffer = ByteBuffer()
    for i in 0..<Int(seconds * 16_000) {
        let time = Double(i) / 16_000
        let value = 0.6 * sin(2 * .pi * 220 * time) * abs(sin(2 * .pi * 1.5 * time))
        buffer.writeInteger(Int16(value * 32_767), endianness: .little)
    }
    return buffer
}
