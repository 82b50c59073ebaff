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
    }

    /// The response to `GET /v1/avatars`.
    struct List: Codable, Sendable {
        var avatars: [Document]
    }

    let library: AvatarLibrary

    /// Adds the routes.
    func add(to routes: some RouterMethods<ServerContext>) {
        routes.get("/v1/avatars") { _, _ in
            let documents = await library.all().map { id, avatar in
                let manifest = avatar.manifest
                return Document(
                    id: id, name: manifest.name, width: manifest.width, height: manifest.height,
                    frames: manifest.frames, licence: manifest.licence, consent: manifest.consent,
                    synthetic: manifest.synthetic)
            }
            return Response.json(List(avatars: documents))
        }
        routes.get("/v1/avatars/:id/preview.png") { _, context in
            let data = try await library.preview(try context.parameters.require("id"))
            return Response(
                status: .ok, headers: [.contentType: "image/png", .cacheControl: "private, max-age=3600"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
        }
    }
}
