import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Viseme

/// `/v1/avatars`.
struct AvatarRoutes: Sendable {
    /// An avatar in a response.
    struct Document: Codable, Sendable {
        var id: String
        var name: String
        var width: Int
        var height: Int
        var frames: Int
        var licence: String
        var consent: String
        var synthetic: Bool?

        init(_ id: String, _ manifest: AvatarManifest) {
            self.id = id
            (name, licence, consent) = (manifest.name, manifest.licence, manifest.consent)
            (width, height, frames) = (manifest.width, manifest.height, manifest.frames)
            synthetic = manifest.synthetic
        }
    }

    /// The response to `GET /v1/avatars`.
    struct List: Codable, Sendable {
        var avatars: [Document]
    }

    let library: AvatarLibrary
    /// nil for a server that takes none.
    let uploads: AvatarUploads?
    let configuration: ServerConfiguration

    /// Adds the routes.
    func add(to routes: some RouterMethods<ServerContext>) {
        routes.get("/v1/avatars") { _, _ in
            let documents = await library.all().map { Document($0.id, $0.avatar.manifest) }
            return Response.json(List(avatars: documents))
        }
        routes.get("/v1/avatars/:id/preview.png") { _, context in
            let data = try await library.preview(try context.parameters.require("id"))
            return Response(
                status: .ok, headers: [.contentType: "image/png", .cacheControl: "private, max-age=3600"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
        }
        routes.post("/v1/avatars") { request, _ in try await upload(request) }
        routes.delete("/v1/avatars/:id") { request, context in
            try await self.uploads(request).remove(try context.parameters.require("id"))
            return Response(status: .noContent)
        }
    }

    private func upload(_ request: Request) async throws -> Response {
        let uploads = try uploads(request)
        let body = try BoundedBody(request, configuration, limit: configuration.maxAvatarBytes)
        let id = try await uploads.add(request.uri.queryParameters.get("name"), archive: body)
        var response = Response.json(Document(id, try await library.pack(id).manifest), status: .created)
        response.headers[.location] = "/v1/avatars/\(id)/preview.png"
        return response
    }

    /// The uploads, for a request with an admin key.
    private func uploads(_ request: Request) throws -> AvatarUploads {
        guard let uploads, !configuration.adminKeys.isEmpty else {
            throw VisemeError(
                .forbidden, "This server takes no avatars", hint: "Its \"adminKeys\" say who may add and delete them.")
        }
        guard request.headers[.authorization] != nil else {
            throw VisemeError(
                .unauthorized, "This address needs an admin key", hint: "Send it as: Authorization: Bearer KEY")
        }
        guard configuration.adminKeys.owner(of: request) != nil else {
            throw VisemeError(.forbidden, "This is no admin key", hint: "Its hash must be in \"adminKeys\".")
        }
        return uploads
    }
}
