import HTTPTypes
import Hummingbird
import Logging
import Viseme

/// Writes the access log, counts responses, and adds the request id to every response.
///
/// The query is not logged: it may hold a session's secret. Probes are logged at level debug.
struct RequestLogMiddleware: RouterMiddleware {
    let metrics: Metrics

    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response = try await next(request, context)
        let duration = ContinuousClock.now - start
        response.headers[.requestID] = context.id
        metrics.count("http_responses_total", label: ("status", "\(response.status.code)"))
        metrics.observe("http_request_seconds", duration)
        let isProbe = ["/health", "/ready", "/metrics"].contains(request.uri.path)
        context.logger.log(
            level: isProbe ? .debug : .info, "request",
            metadata: [
                "method": "\(request.method)", "path": "\(request.uri.path)", "status": "\(response.status.code)",
                "milliseconds": "\(Int((duration / .milliseconds(1)).rounded()))", "client": "\(context.client)",
            ])
        return response
    }
}

extension HTTPField.Name {
    /// The request's id in the log.
    static let requestID = name("X-Request-Id")
}
