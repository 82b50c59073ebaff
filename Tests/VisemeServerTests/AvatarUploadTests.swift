import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeServer

@Suite(
    "Avatars that are uploaded", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct AvatarUploadTests {
    private static let admin = ServerConfiguration.APIKey(name: "admin", sha256: hexDigest(of: "let me in"))
    private static let user = ServerConfiguration.APIKey(name: "me", sha256: hexDigest(of: "open sesame"))
    private static let headers: HTTPFields = [.authorization: "Bearer let me in"]

    private func server(
        _ change: (inout ServerConfiguration) -> Void = { _ in },
        examine: (@Sendable (URL) async throws -> Void)? = { _ in },
        _ body: @escaping @Sendable (any TestClientProtocol, URL) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            var configuration = TinyServer.configuration(in: folder)
            configuration.adminKeys = [Self.admin]
            change(&configuration)
            let data = folder.appending(path: "data/avatars")
            try await TinyServer.make(configuration, examine: examine).application().test(.router) { client in
                try await body(client, data)
            }
        }
    }

    private func archive(as name: String = "ada.avatar") throws -> ByteBuffer {
        ByteBuffer(bytes: try Tar.archive(of: TinyServer.packs.appending(path: "tiny.avatar"), as: name))
    }

    private func upload(
        _ client: any TestClientProtocol, _ body: ByteBuffer, query: String = "", _ headers: HTTPFields = headers
    ) async throws -> TestResponse {
        try await client.execute(uri: "/v1/avatars\(query)", method: .post, headers: headers, body: body)
    }

    private func ids(_ client: any TestClientProtocol) async throws -> [String] {
        let answer = try await client.get("/v1/avatars", Self.headers)
        return try JSONDecoder().decode(AvatarRoutes.List.self, from: Data(answer.body.readableBytesView)).avatars.map(
            \.id)
    }

    /// Nothing is left of what was refused.
    private func isEmpty(_ folder: URL) throws -> Bool {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty
    }

    @Test("a pack is listed when it was found well, speaks, is there after a restart, and can be deleted")
    func wholeLife() async throws {
        let archive = try archive()
        try await withTemporaryFolder { folder in
            var configuration = TinyServer.configuration(in: folder)
            configuration.adminKeys = [Self.admin]
            let settings = configuration
            try await TinyServer.make(settings, examine: { _ in }).application().test(.router) { client in
                let answer = try await upload(client, archive)
                #expect(answer.status == .created, "\(String(buffer: answer.body))")
                #expect(try await ids(client).contains("ada"))
                #expect(try await client.get("/v1/avatars/ada/preview.png").status == .ok)
                let session = try await client.begin(avatar: "ada")
                // In use: it stays.
                let refused = try await client.execute(uri: "/v1/avatars/ada", method: .delete, headers: Self.headers)
                #expect(refused.status == .conflict)
                _ = try await client.execute(uri: session.path, method: .delete, headers: session.headers)
                let answer1 = try await upload(client, archive)
                #expect(answer1.status == .conflict)
                let answer2 = try await upload(client, archive, query: "?name=Bert")
                #expect(answer2.status == .created)
            }
            try await TinyServer.make(settings, examine: { _ in }).application().test(.router) { client in
                let listed = try await ids(client)
                #expect(Set(listed).isSuperset(of: ["ada", "Bert"]))
                let gone = try await client.execute(uri: "/v1/avatars/ada", method: .delete, headers: Self.headers)
                #expect(gone.status == .noContent)
                #expect(try await ids(client).contains("ada") == false)
                #expect(try await client.get("/v1/avatars/ada/preview.png").status == .notFound)
                let again = try await client.execute(uri: "/v1/avatars/ada", method: .delete, headers: Self.headers)
                #expect(again.status == .notFound)
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "data/avatars").path)
            #expect(left == ["Bert.avatar"])
        }
    }

    @Test("nobody adds or deletes avatars without an admin key")
    func keys() async throws {
        let archive = try archive()
        try await server({ $0.apiKeys = [Self.user] }) { client, folder in
            let answer3 = try await upload(client, archive, [:])
            #expect(answer3.status == .unauthorized)
            let answer4 = try await upload(client, archive, [.authorization: "Bearer open sesame"])
            #expect(answer4.status == .forbidden)
            let answer5 = try await upload(client, archive, [.authorization: "Bearer wrong"])
            #expect(answer5.status == .unauthorized)
            let delete = try await client.execute(
                uri: "/v1/avatars/tiny", method: .delete, headers: [.authorization: "Bearer open sesame"])
            #expect(delete.status == .forbidden)
            // An admin key opens everything else, too.
            #expect(try await client.get("/v1/avatars", Self.headers).status == .ok)
            #expect(try isEmpty(folder))
        }
        try await server { client, _ in
            let answer6 = try await upload(client, archive, [:])
            #expect(answer6.status == .unauthorized)
            let answer7 = try await upload(client, archive, [.authorization: "Bearer wrong"])
            #expect(answer7.status == .forbidden)
        }
        try await server({ $0.adminKeys = [] }) { client, _ in
            let answer8 = try await upload(client, archive)
            #expect(answer8.status == .forbidden)
        }
        try await server(examine: nil) { client, _ in
            let answer9 = try await upload(client, archive)
            #expect(answer9.status == .forbidden)
        }
    }

    private func upload(
        _ client: any TestClientProtocol, _ body: ByteBuffer, _ headers: HTTPFields
    ) async throws -> TestResponse { try await upload(client, body, query: "", headers) }

    @Test("a pack with a fault is not listed, and nothing is left of it")
    func faults() async throws {
        let archive = try archive()
        try await server(examine: { url in
            throw VisemeError(.badData, "The pack is not well: '\(url.path)' was never trained")
        }) { client, folder in
            let answer = try await upload(client, archive)
            #expect(answer.status == .badRequest)
            let text = String(buffer: answer.body)
            #expect(text.contains("never trained"))
            #expect(!text.contains(folder.path), "the server's folders are nobody's business")
            #expect(try isEmpty(folder))
            #expect(try await ids(client).contains("ada") == false)
        }
    }

    @Test("hostile archives leave nothing behind", arguments: TarTests.hostile)
    func hostile(_ archive: TarTests.Hostile) async throws {
        try await server { client, folder in
            let answer = try await upload(client, ByteBuffer(bytes: archive.data))
            #expect(answer.status == .badRequest, "\(answer.status)")
            #expect(try isEmpty(folder))
            let above = folder.deletingLastPathComponent()
            #expect(!FileManager.default.fileExists(atPath: above.appending(path: "evil").path))
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "evil").path))
        }
    }

    @Test("archives that are no pack, too large, or badly named are refused")
    func refusals() async throws {
        var loose = Tar()
        loose.add("readme.txt", Data("hello".utf8))
        var clash = Tar()
        clash.add("me/a", Data("1".utf8))
        clash.add("me/a/b", Data("2".utf8))
        let (noPack, fileAndFolder, sound) = (loose.finished, clash.finished, try archive())
        try await server({ $0.maxAvatarBytes = 4 << 20 }) { client, folder in
            let answer10 = try await upload(client, ByteBuffer(bytes: noPack))
            #expect(answer10.status == .badRequest)
            let answer11 = try await upload(client, ByteBuffer(bytes: fileAndFolder))
            #expect(answer11.status == .badRequest)
            let answer12 = try await upload(client, ByteBuffer(string: "not an archive"))
            #expect(answer12.status == .badRequest)
            let answer13 = try await upload(client, ByteBuffer(repeating: 0, count: 5 << 20))
            #expect(answer13.status == .contentTooLarge)
            for name in ["..", ".hidden", "a%2Fb", "x%20y", "a.avatar", String(repeating: "a", count: 65)] {
                let answer14 = try await upload(client, sound, query: "?name=\(name)")
                #expect(answer14.status == .badRequest, "\(name)")
            }
            let answer15 = try await upload(client, sound, query: "?name=tiny")
            #expect(answer15.status == .conflict)
            let answer16 = try await upload(client, sound, query: "?name=TINY")
            #expect(answer16.status == .conflict)
            #expect(try isEmpty(folder))
            let own = try await client.execute(uri: "/v1/avatars/tiny", method: .delete, headers: Self.headers)
            #expect(own.status == .forbidden)
            for name in ["..", "%2e%2e%2ftiny", "a%2fb"] {
                let answer = try await client.execute(
                    uri: "/v1/avatars/\(name)", method: .delete, headers: Self.headers)
                #expect(
                    [.notFound, .badRequest, .methodNotAllowed].contains(answer.status), "\(name): \(answer.status)")
            }
        }
        try await server({ $0.maxUploadedAvatars = 1 }) { client, _ in
            let answer17 = try await upload(client, sound)
            #expect(answer17.status == .created)
            let answer18 = try await upload(client, sound, query: "?name=second")
            #expect(answer18.status.code == 507)
        }
    }

    @Test("what an earlier process left unfinished is removed at the start")
    func leftovers() async throws {
        try await withTemporaryFolder { folder in
            let avatars = folder.appending(path: "data/avatars")
            for name in [".partial-1", ".deleted-2"] {
                try FileManager.default.createDirectory(
                    at: avatars.appending(path: name), withIntermediateDirectories: true)
            }
            _ = try TinyServer.make(TinyServer.configuration(in: folder), examine: { _ in })
            #expect(try isEmpty(avatars))
        }
    }
}
