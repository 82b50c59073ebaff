import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// Tells a client that waits for it to send the body: `Expect: 100-continue`, which curl sends before larger uploads and then waits
/// a second for the answer.
struct ContinueMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        if request.headers[.expect]?.lowercased() == "100-continue" {
            let channel = context.channel
            channel.eventLoop.execute {
                // Below the encoder, which would take this for the answer. Without one this is a test's channel.
                let encoder = try? channel.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
                encoder?.writeAndFlush(NIOAny(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
            }
        }
        return try await next(request, context)
    }
}
