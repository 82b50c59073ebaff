import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// Server-sent events; each is written when the reader has taken the one before.
struct EventStream: Sendable {
    private let encoder = JSONEncoder.document

    /// A value as an event.
    func event(_ name: String, _ value: some Encodable) throws -> ByteBuffer {
        event(name, json: String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// A JSON text without line breaks as an event.
    func event(_ name: String, json: String) -> ByteBuffer {
        ByteBuffer(string: "event: \(name)\ndata: \(json)\n\n")
    }

    /// A comment line that readers ignore; it detects closed connections.
    static let pulse = ByteBuffer(string: ": \n\n")

    /// A response that lasts until `body` returns or the reader disconnects.
    static func response(
        _ body: @escaping @concurrent @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody { writer in
                try await body(&writer)
                try await writer.finish(nil)
            })
    }
}
