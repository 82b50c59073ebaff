import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeServer

@Suite("API keys and clients", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct KeyTests {
    private static let key = ServerConfiguration.APIKey(name: "me", sha256: hexDigest(of: "open sesame"))

    /// Every operation of the description, with something in the place of its parameters.
    private static func operations() throws -> [(method: HTTPRequest.Method, path: String)] {
        let url = Repository.root.appending(path: "Sources/VisemeServer/openapi.json")
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
        let paths = try #require(document["paths"] as? [String: [String: Any]])
        return paths.flatMap { path, operations in
            operations.keys.compactMap { name in
                let filled = path.replacing(/\{[^}]*\}/, with: "tiny")
                return HTTPRequest.Method(name.uppercased()).map { ($0, filled) }
            }
        }
    }

    /// What routers and proxies may take for the same address.
    private static func spellings(of path: String) -> [String] {
        let parts = path.split(separator: "/").map(String.init)
        return [
            path, path + "/", "/" + path, path.replacing("/", with: "//"), "/./" + parts.joined(separator: "/"),
            "/" + parts.joined(separator: "/./"), path + ";x=1", path + "?x=1",
            path.replacing("/v1/", with: "/%76%31/"),
            "/x/.." + path, path.uppercased(), "/" + parts.joined(separator: "%2f"),
        ]
    }

    /// Open to everybody: health, the page with its files, the description.
    private static func isOpen(_ path: String) -> Bool {
        let first = path.split(separator: "/").first.map(String.init) ?? ""
        return first != "v1" && first != "metrics"
    }

    @Test("No spelling of any address goes around the key", arguments: [TestingSetup.router, .live])
    func spellings(_ framework: TestingSetup) async throws {
        let operations = try Self.operations()
        #expect(operations.count > 20)
        try await TinyServer.test(framework) {
            $0.apiKeys = [Self.key]
        } _: { client in
            for (method, path) in operations where !Self.isOpen(path) {
                for spelling in Self.spellings(of: path) {
                    let answer = try await client.execute(
                        uri: spelling, method: method, body: ByteBuffer(string: method == .post ? "{}" : ""))
                    #expect(
                        [.unauthorized, .notFound, .methodNotAllowed, .badRequest].contains(answer.status),
                        "\(method) \(spelling): \(answer.status)")
                }
            }
            // The check itself works: with the key the plain addresses answer.
            let headers: HTTPFields = [.authorization: "Bearer open sesame"]
            #expect(try await client.get("/v1/avatars", headers).status == .ok)
            #expect(try await client.get("/metrics", headers).status == .ok)
        }
    }

    @Test("Pages of allowed origins can read errors, too, and show what they get")
    func origins() async throws {
        try await TinyServer.test {
            $0.allowedOrigins = ["https://page.example"]
        } _: { client in
            let origin: HTTPFields = [.origin: "https://page.example"]
            for uri in ["/v1/avatars", "/v1/renders/none", "/nowhere"] {
                let answer = try await client.get(uri, origin)
                #expect(answer.headers[.accessControlAllowOrigin] == "https://page.example", "\(uri)")
                #expect(answer.headers[SecurityHeadersMiddleware.resourcePolicy] == "cross-origin", "\(uri)")
                #expect(answer.headers[.accessControlExposeHeaders]?.contains("Retry-After") == true, "\(uri)")
            }
            let own = try await client.get("/v1/avatars")
            #expect(own.headers[SecurityHeadersMiddleware.resourcePolicy] == "same-origin")
        }
    }

    @Test("Behind a trusted proxy clients are told apart, and nobody else can pretend")
    func proxies() async throws {
        for (proxies, status) in [(["127.0.0.1", "::1"], HTTPResponse.Status.created), ([], .serviceUnavailable)] {
            try await TinyServer.test(.live) {
                $0.maxSessionsPerClient = 1
                $0.trustedProxies = proxies
            } _: { client in
                func begin(_ address: String) async throws -> HTTPResponse.Status {
                    try await client.post("/v1/sessions", [.forwardedFor: address], #"{"avatar":"tiny"}"#).status
                }
                let statuses = [
                    try await begin("203.0.113.1"), try await begin("203.0.113.2"),
                    // What stands further to the left was written by the client.
                    try await begin("203.0.113.9, 203.0.113.1"),
                ]
                #expect(statuses == [.created, status, .serviceUnavailable])
            }
        }
    }

    @Test("Without API keys, too, each client has a share of the render queue, uploads that run included")
    func shares() async throws {
        // A client of the live server would send one request after the other.
        try await TinyServer.test(.router) {
            $0.trustedProxies = ["local"]
            $0.maxWaitingRendersPerClient = 1
            // Nothing is worked off meanwhile.
            $0.speechCommand = ["/bin/sh", "-c", "sleep 3; exit 1"]
        } _: { client in
            func ask(_ address: String) async throws -> HTTPResponse.Status {
                try await client.post(
                    "/v1/renders", [.forwardedFor: address, .contentType: "text/plain"], "a text"
                ).status
            }
            async let first = ask("203.0.113.1")
            try await Task.sleep(for: .milliseconds(500))
            #expect(try await ask("203.0.113.1") == .serviceUnavailable, "the share is one upload")
            #expect(try await ask("203.0.113.2") == .badRequest, "another client's turn, whose program fails")
            #expect(try await first == .badRequest)
            #expect(try await ask("203.0.113.1") == .badRequest, "what was given up counts no more")
        }
    }

    @Test("One client may not use all speaking slots where there are others")
    func slots() throws {
        var configuration = ServerConfiguration()
        #expect(try configuration.checked(cores: 2).maxSpeakingPerClient == 2)
        configuration.apiKeys = [Self.key]
        #expect(try configuration.checked(cores: 2).maxSpeakingPerClient == 1)
    }

    @Test("Connections of one address are bounded, those of a trusted proxy are not")
    func connections() {
        let counts = ConnectionCounts(limit: 2, exempt: ["proxy"])
        #expect(counts.enter("a") && counts.enter("a") && !counts.enter("a") && counts.enter("b"))
        for _ in 0..<2 { counts.leave("a") }
        #expect(counts.enter("a"))
        #expect((0..<100).allSatisfy { _ in counts.enter("proxy") })
    }

    @Test("Clients take turns in the render queue, and none fills it")
    func turns() async throws {
        try await withTemporaryFolder { folder in
            let store = try RenderStore(at: folder.appending(path: "renders.sqlite"))
            func job(_ id: String, _ client: String, frames: Int = 25) -> RenderJob {
                RenderJob(
                    id: id, owner: "", client: client, avatar: "tiny", createdAt: .now, idempotencyKey: nil, digest: id,
                    framesTotal: frames)
            }
            func add(_ job: RenderJob) async throws -> Bool {
                let limits = RenderStore.Limits(jobs: 100, jobsOfClient: 3, framesOfClient: 1000)
                return if case .added = try await store.add(job, limits) { true } else { false }
            }
            for id in ["a1", "a2", "a3"] { #expect(try await add(job(id, "a"))) }
            #expect(try await !add(job("a4", "a")), "three jobs are the share")
            #expect(try await add(job("b1", "b", frames: 900)))
            #expect(try await !add(job("b2", "b", frames: 200)), "1000 frames are the share")
            #expect(try await add(job("c1", "c", frames: 5000)), "one job is always taken")
            var turns: [String: Int] = [:]
            var order: [String] = []
            while let next = try await store.startNext(after: turns) {
                order.append(next.id)
                turns[next.client] = order.count
            }
            #expect(order == ["a1", "b1", "c1", "a2", "a3"])
        }
    }

    @Test("A new database beside old renders is refused, and nothing is removed")
    func lostDatabase() async throws {
        try await withTemporaryFolder { folder in
            let configuration = TinyServer.configuration(in: folder)
            let files = try RenderFiles(root: URL(filePath: configuration.data).appending(path: "renders"))
            let id = String(repeating: "d", count: 32)
            try files.create(id)
            let error = #expect(throws: VisemeError.self) { try TinyServer.make(configuration) }
            #expect(error?.code == .cannotCreate && error?.message.contains("renders.sqlite") == true)
            #expect(try files.jobs() == [id])
        }
    }

    @Test("A data folder that cannot be used is named", arguments: ["file", "corrupt"])
    func dataFolder(_ fault: String) async throws {
        try await withTemporaryFolder { folder in
            let configuration = TinyServer.configuration(in: folder)
            let data = URL(filePath: configuration.data)
            if fault == "file" {
                try Data("x".utf8).write(to: data)
            } else {
                try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
                try Data("no database, but long enough to be looked at as one".utf8).write(
                    to: data.appending(path: "renders.sqlite"))
            }
            let error = #expect(throws: VisemeError.self) { try TinyServer.make(configuration) }
            #expect(error?.code == .cannotCreate && error?.message.contains(data.path) == true && error?.hint != nil)
        }
    }

    @Test("The folders of renders are private")
    func modes() async throws {
        try await withTemporaryFolder { folder in
            let files = try RenderFiles(root: folder.appending(path: "data/renders"))
            try files.create("e")
            for url in [files.root, files.folder(of: "e")] {
                let mode = try FileManager.default.attributesOfItem(atPath: url.path)[.posixPermissions] as? Int
                #expect(mode == 0o700)
            }
        }
    }
}
