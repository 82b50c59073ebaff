import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing
import VisemeTestSupport
@testable import VisemeServer

@Suite struct OpenAPITests {
    @Test("The description has every route and no other", .enabled(if: Repository.canRunModels))
    func routes() async throws {
        try await withTemporaryFolder { folder in
            let server = try TinyServer.make(TinyServer.configuration(in: folder))
            let real = Set(server.routes().routes.map { "\($0.method) \(Self.braced("\($0.path)"))" })
            let document = try Self.document()
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            let described = Set(
                paths.flatMap { path, operations in operations.keys.map { "\($0.uppercased()) \(path)" } })
            #expect(described.subtracting(real).isEmpty, "described, but not there")
            #expect(real.subtracting(described).isEmpty, "there, but not described")
        }
    }

    @Test(
        "Every reference in the description leads somewhere, every operation has a name of its own and a status of success"
    )
    func references() throws {
        let document = try Self.document()
        var names: [String] = []
        func walk(_ value: Any) throws {
            if let list = value as? [Any] { try list.forEach(walk) }
            guard let object = value as? [String: Any] else { return }
            if let name = object["operationId"] as? String {
                names.append(name)
                let statuses = try #require(object["responses"] as? [String: Any]).keys
                #expect(statuses.contains { $0.hasPrefix("2") }, "\(name)")
            }
            if let reference = object["$ref"] as? String {
                var target: Any? = document
                for part in reference.split(separator: "/").dropFirst() {
                    target = (target as? [String: Any])?[String(part)]
                }
                #expect(target != nil, "\(reference)")
            }
            try object.values.forEach(walk)
        }
        try walk(document)
        #expect(names.count == Set(names).count && names.count > 20)
    }

    @Test(
        "The page is served whole, with a policy that allows nothing inline and nobody else's code",
        .enabled(if: Repository.canRunModels))
    func page() async throws {
        try await TinyServer.test { client in
            let page = try await client.get("/")
            #expect(page.status == .ok && page.headers[.contentType] == "text/html; charset=utf-8")
            let policy = page.headers[.contentSecurityPolicy] ?? ""
            #expect(
                policy.contains("default-src 'none'") && policy.contains("script-src 'self'")
                    && !policy.contains("unsafe"))
            let html = String(buffer: page.body)
            #expect(!html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick"))
            for match in html.matches(of: /(?:src|href)="([^"]+)"/) {
                let file = try await client.get("/\(match.1)")
                #expect(file.status == .ok, "\(match.1)")
                let tag = try #require(file.headers[.eTag])
                #expect(try await client.get("/\(match.1)", [.ifNoneMatch: tag]).status == .notModified)
            }
            for name in ["nothing.js", "..%2fopenapi.json", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"] {
                #expect(try await client.get("/page/\(name)").status == .notFound)
            }
            let described = try await client.get("/openapi.json")
            #expect(described.headers[.contentType]?.hasPrefix("application/json") ?? false)
        }
    }

    private static func document() throws -> [String: Any] {
        let url = Repository.root.appending(path: "Sources/VisemeServer/openapi.json")
        return try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    }

    /// `/v1/renders/:id` as `/v1/renders/{id}`.
    private static func braced(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.hasPrefix(":") ? "{\(part.dropFirst())}" : String(part)
        }.joined(separator: "/")
    }
}
