public import Foundation
import Hummingbird
public import Logging
import NIOCore
public import ServiceLifecycle
public import Viseme
public import VisemeFFmpeg
import VisemeStreaming

/// The HTTP server for live sessions, render jobs and the web page. At shutdown sessions end with complete streams.
public struct Server: Service {
    private let configuration: ServerConfiguration
    private let library: AvatarLibrary
    private let sessions: Sessions
    private let renders: RenderQueue
    private let uploads: AvatarUploads?
    private let page: Page
    private let readiness = Readiness()
    private let metrics = Metrics()
    private let media: FFmpeg
    private let logger: Logger
    private let onReady: @Sendable (String) -> Void

    /// Makes a server that does not listen yet.
    ///
    /// - Parameters:
    ///   - configuration: The settings; they are checked here.
    ///   - media: Decodes and encodes.
    ///   - logger: The logger.
    ///   - makeEngine: Loads an avatar's models.
    ///   - examine: Throws when an uploaded pack has a fault; without it the server takes no packs.
    ///   - onReady: Called with the server's address once it listens and an inference has run.
    /// - Throws: `.usage` for an invalid configuration; `.cannotCreate` when the data folder is not writable.
    public init(
        _ configuration: ServerConfiguration, media: FFmpeg, logger: Logger,
        makeEngine: @escaping @Sendable (Avatar) async throws -> Engine,
        examine: (@Sendable (URL) async throws -> Void)? = nil,
        onReady: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        let configuration = try configuration.checked()
        let library = AvatarLibrary(configuration, media: media, logger: logger, makeEngine: makeEngine)
        let sessions = Sessions(configuration, library: library, metrics: metrics, logger: logger)
        let slots = sessions.slots
        self.configuration = configuration
        self.library = library
        self.sessions = sessions
        renders = try RenderQueue(
            configuration, media: media, logger: logger, avatar: { try await library.load($0) },
            isSpeaking: { slots.isInUse })
        // After the queue, which locks the data folder.
        uploads = try examine.map { try AvatarUploads(configuration, library: library, logger: logger, examine: $0) }
        page = try Page()
        self.media = media
        self.logger = logger
        self.onReady = onReady
    }

    /// Serves until it is shut down.
    ///
    /// - Throws: `.cannotCreate` when the port is in use; the error of loading the default avatar.
    public func run() async throws {
        let application = application()
        do {
            try await withGracefulShutdownHandler {
                try await application.run()
            } onGracefulShutdown: {
                // At once: connections end when their sessions do.
                readiness.stop()
                Task { [sessions] in await sessions.stop() }
            }
        } catch let error as IOError {
            throw VisemeError(
                .cannotCreate, "The server cannot listen at \(configuration.host):\(configuration.port)",
                hint: "Another program may use the port: try --port 0", cause: error)
        }
    }

    /// Prepares for the end: no session begins any more, `/ready` answers 503, and the sessions that there are go on until they end by
    /// themselves, at most `drainSeconds`. Shut the server down after that.
    public func drain() async {
        guard configuration.drainSeconds > 0 else { return }
        readiness.stop()
        await sessions.drain()
    }

    /// The router: the declared routes, and 405 for other methods of their paths.
    func router() -> Router<ServerContext> {
        let router = routes()
        router.refuseOtherMethods()
        return router
    }

    /// The declared routes, in a group that needs an API key and an open one.
    func routes() -> Router<ServerContext> {
        let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: RequestLogMiddleware(metrics: metrics))
        router.add(middleware: SecurityHeadersMiddleware())
        router.add(middleware: CrossOriginMiddleware(origins: configuration.allowedOrigins))
        router.add(middleware: FailureMiddleware())
        router.add(middleware: AccessMiddleware(configuration: configuration))
        // Last: a request that is refused above does not send its body.
        router.add(middleware: ContinueMiddleware())
        // Whoever may add avatars may use them.
        let keys = configuration.apiKeys.isEmpty ? [] : configuration.apiKeys + configuration.adminKeys
        let keyed = router.group().add(middleware: KeyMiddleware(keys: keys))
        HealthRoutes(readiness: readiness, metrics: metrics, sessions: sessions, renders: renders).add(
            to: router, keyed: keyed)
        AvatarRoutes(library: library, uploads: uploads, configuration: configuration).add(to: keyed)
        // A session's own routes need its secret, which was given for a key.
        SessionRoutes(sessions: sessions, library: library, media: media, configuration: configuration).add(
            to: router, keyed: keyed)
        RenderRoutes(queue: renders, configuration: configuration, library: library).add(to: keyed)
        page.add(to: router)
        return router
    }

    /// The application; tests also run it without a socket.
    func application() -> some ApplicationProtocol {
        let warmUp = WarmUp(library: library, readiness: readiness, onReady: onReady)
        let connections = ConnectionCounts(
            limit: configuration.maxConnectionsPerClient, exempt: configuration.trustedProxies)
        let idle = TimeAmount.seconds(Int64(configuration.requestIdleSeconds))
        return Application(
            router: router(),
            server: .http1(
                configuration: .init(additionalChannelHandlers: [ConnectionCount(connections)], idleTimeout: idle)),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: "Viseme",
                availableConnectionsDelegate: .maximum(configuration.maxConnections, logger: logger)),
            services: [sessions, renders, warmUp],
            onServerRunning: { [warmUp, configuration] channel in
                let port = channel.localAddress?.port ?? configuration.port
                let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
                warmUp.listens(at: "http://\(host):\(port)")
            }, logger: logger)
    }
}
