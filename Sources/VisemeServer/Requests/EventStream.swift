import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// Server-sent events: values one after the other, each written when the reader has taken the one before.
struct EventStream: Sendable {
    private let encoder = JSONEncoder.document

    /// A value as an event.
    func event(_ name: String, _ value: some Encodable) throws -> ByteBuffer {
        ByteBuffer(string: "event: \(name)\ndata: \(String(decoding: try encoder.encode(value), as: UTF8.self))\n\n")
    }

    /// A line that readers skip: it shows whether they are still there.
    static let pulse = ByteBuffer(string: ": \n\n")

    /// An answer that goes on until `body` returns or the reader goes away.
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
