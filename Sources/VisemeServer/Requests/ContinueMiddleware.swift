import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// Answers `Expect: 100-continue`, which curl sends before larger uploads; it then waits a second for the answer.
struct ContinueMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        if request.headers[.expect]?.lowercased() == "100-continue" {
            let channel = context.channel
            channel.eventLoop.execute {
                // Written below the encoder, which would take it for the response. A test's channel has no encoder.
                let encoder = try? channel.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
                encoder?.writeAndFlush(NIOAny(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
            }
        }
        return try await next(request, context)
    }
}
