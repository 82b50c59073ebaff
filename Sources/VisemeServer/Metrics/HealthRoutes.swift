import HTTPTypes
import Hummingbird
import NIOCore
import Viseme

/// `/health`, `/ready` and `/metrics`.
struct HealthRoutes: Sendable {
    private struct Health: Codable {
        var status: String
    }
    private struct Ready: Codable {
        var ready: Bool
        /// Sessions that may still begin.
        var room: Int
    }

    let readiness: Readiness
    let metrics: Metrics
    let sessions: Sessions
    let renders: RenderQueue

    /// Adds the routes.
    ///
    /// - Parameter keyed: The group of routes that need an API key.
    func add(to routes: some RouterMethods<ServerContext>, keyed: some RouterMethods<ServerContext>) {
        routes.get("/health") { _, _ in Response.json(Health(status: "ok")) }
        routes.get("/ready") { request, _ in
            // Without its database or free disk space the server cannot accept jobs.
            let isUsable = if readiness.isReady { await renders.isUsable() } else { false }
            let room = await sessions.room.free
            let asked = request.uri.queryParameters.get("room") ?? "0"
            guard let wanted = Int(asked), wanted >= 0 else {
                throw VisemeError(.usage, "\"room\" is '\(asked.prefix(64))', expected a number of sessions")
            }
            let isReady = isUsable && room >= wanted
            var response = Response.json(
                Ready(ready: isReady, room: room), status: isReady ? .ok : .serviceUnavailable)
            if !isReady { response.headers[.retryAfter] = "2" }
            return response
        }
        keyed.get("/metrics") { _, _ in
            let gauges =
                await sessions.gauges() + renders.gauges() + [("resident_bytes", Double(Metrics.residentBytes()))]
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text(gauges: gauges) + ProcessFigures.text()))
            )
        }
    }
}
