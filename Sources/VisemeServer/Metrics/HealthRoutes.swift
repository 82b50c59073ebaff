import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import Viseme

/// Whether the server can do what it is for.
final class Readiness: Sendable {
    private let state = Mutex(false)

    /// Whether an inference has run.
    var isReady: Bool { state.withLock { $0 } }

    /// Loads the default avatar, speaks with it once, and encodes its template.
    func warmUp(_ library: AvatarLibrary) async throws {
        let avatar = try await library.load(try await library.defaultID())
        var settings = LiveSession.Settings()
        settings.pace = .none
        let session = try await LiveSession(avatar.engine, settings: settings)
        try await session.push((0..<4800).map { Float($0 % 160) / 160 - 0.5 })
        await session.end()
        for try await _ in session.units {}
        // Until then every idle session would encode the same pictures.
        await avatar.isFilled()
        state.withLock { $0 = true }
    }
}

/// `/health`, `/ready` and `/metrics`.
struct HealthRoutes: Sendable {
    private struct Health: Codable {
        var status: String
    }
    private struct Ready: Codable {
        var ready: Bool
    }

    let readiness: Readiness
    let metrics: Metrics
    let sessions: Sessions
    let renders: RenderQueue

    /// Adds the routes.
    func add(to routes: some RouterMethods<ServerContext>) {
        routes.get("/health") { _, _ in Response.json(Health(status: "ok")) }
        routes.get("/ready") { _, _ in
            let isReady = readiness.isReady
            return Response.json(Ready(ready: isReady), status: isReady ? .ok : .serviceUnavailable)
        }
        routes.get("/metrics") { _, _ in
            let gauges =
                await sessions.gauges() + renders.gauges() + [("resident_bytes", Double(Metrics.residentBytes()))]
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text(gauges: gauges))))
        }
    }
}
