import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Viseme
import VisemeStreaming

/// The web page and the API description: small resource files, held in memory.
struct Page: Sendable {
    private struct File: Sendable {
        let bytes: ByteBuffer
        let type: String
        let tag: String
    }

    private static let types = [
        "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml", "json": "application/json; charset=utf-8",
    ]

    /// Allows only this server's own files: no inline code, no other host, no framing.
    private static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:", "media-src 'self' blob:",
        "connect-src 'self'", "worker-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    private let files: [String: File]

    /// Reads the files.
    ///
    /// - Throws: An error when the package's resources are missing.
    init() throws {
        var files: [String: File] = [:]
        let folder = Bundle.module.bundleURL
        let pages = try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: "Static"), includingPropertiesForKeys: nil)
        for url in pages + [folder.appending(path: "openapi.json")] {
            let data = try Data(contentsOf: url)
            guard let type = Self.types[url.pathExtension] else { continue }
            let digest = SHA256.hash(data: data).prefix(8).map { String($0, radix: 16) }.joined()
            files[url.lastPathComponent] = File(bytes: ByteBuffer(bytes: data), type: type, tag: "\"\(digest)\"")
        }
        self.files = files
    }

    /// Adds the routes.
    func add(to routes: some RouterMethods<ServerContext>) {
        for (path, name) in [("/", "index.html"), ("/openapi.json", "openapi.json")] {
            routes.get(RouterPath(path)) { request, _ in try answer(name, to: request) }
        }
        routes.get("/page/:file") { request, context in
            try answer(context.parameters.require("file"), to: request)
        }
    }

    private func answer(_ name: String, to request: Request) throws -> Response {
        guard let file = files[name] else { throw VisemeError(.notFound, "There is no file '\(name.prefix(64))'") }
        let headers: HTTPFields = [
            .contentType: file.type, .eTag: file.tag, .cacheControl: "no-cache", .contentSecurityPolicy: Self.policy,
        ]
        if request.headers[values: .ifNoneMatch].contains(where: { $0.contains(file.tag) }) {
            return Response(status: .notModified, headers: headers)
        }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: file.bytes))
    }
}
