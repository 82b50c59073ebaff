import Logging
import ServiceLifecycle
import Viseme

/// All sessions, and the bounds on how many there may be.
actor Sessions: Service {
    private let configuration: ServerConfiguration
    private let library: AvatarLibrary
    private let metrics: Metrics
    private let logger: Logger
    /// Who may speak.
    nonisolated let slots: SpeakingSlots
    private var sessions: [String: Session] = [:]
    /// Sessions that are about to begin, by client.
    private var pending: [String: Int] = [:]
    private let begun: AsyncStream<Session>
    private let begin: AsyncStream<Session>.Continuation
    private var isStopping = false

    init(_ configuration: ServerConfiguration, library: AvatarLibrary, metrics: Metrics, logger: Logger) {
        self.configuration = configuration
        self.library = library
        self.metrics = metrics
        self.logger = logger
        slots = SpeakingSlots(configuration.maxSpeaking, share: configuration.maxSpeakingPerClient)
        // As many as there may be sessions.
        (begun, begin) = AsyncStream.makeStream()
    }

    /// Runs all sessions until the server is asked to stop; then they end with complete streams.
    func run() async throws {
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for await session in begun { group.addTask { await self.run(session) } }
            }
        } onGracefulShutdown: {
            Task { await self.stop() }
        }
        // Whoever stopped the sessions early still waits for the rest of the server. Only cancellation throws here.
        try? await gracefulShutdown()
    }

    private func run(_ session: Session) async {
        do {
            try await session.run()
        } catch is CancellationError {
            logger.debug("Session \(session.id) was cancelled")
        } catch {
            logger.error("Session \(session.id) failed: \(error)")
            metrics.count("sessions_failed_total")
        }
        sessions[session.id] = nil
    }

    /// Begins no session and takes no speech any more. Sessions end when what they say is said, but all of them two seconds before
    /// the server has to: their streams are completed then.
    func stop() async {
        isStopping = true
        begin.finish()
        for session in sessions.values { await session.drain() }
        let end = ContinuousClock.now + .seconds(configuration.shutdownSeconds - 2)
        while !sessions.isEmpty, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(50)) }
        for session in sessions.values { await session.end() }
    }

    /// Begins a session.
    ///
    /// - Returns: The session, and the secret that opens it.
    /// - Throws: `.busy` beyond the capacity, `.notFound` for an unknown avatar.
    func create(avatar id: String, client: String) async throws -> (session: Session, secret: String) {
        let waiting = pending.values.reduce(0, +)
        guard !isStopping, sessions.count + waiting < configuration.maxSessions else {
            metrics.count("refused_total", label: ("reason", "sessions"))
            throw VisemeError(
                .busy, isStopping ? "The server is stopping" : "All \(configuration.maxSessions) sessions are taken")
        }
        let own = sessions.values.count { $0.client == client } + pending[client, default: 0]
        guard own < configuration.maxSessionsPerClient else {
            metrics.count("refused_total", label: ("reason", "client"))
            throw VisemeError(.busy, "You have \(own) sessions already", hint: "End one: DELETE /v1/sessions/ID")
        }
        pending[client, default: 0] += 1
        defer {
            pending[client, default: 0] -= 1
            if pending[client] == 0 { pending[client] = nil }
        }
        let avatar = try await library.load(id)
        let secret = randomToken(bytes: 32)
        let session = try await Session(
            id: randomToken(bytes: 12), secret: secret, avatar: avatar, client: client,
            Session.Dependencies(configuration: configuration, slots: slots, metrics: metrics))
        guard !isStopping else { throw VisemeError(.busy, "The server is stopping") }
        sessions[session.id] = session
        begin.yield(session)
        metrics.count("sessions_total")
        return (session, secret)
    }

    /// The session with an id, for somebody who knows its secret. Whether the id or the secret was wrong is not told.
    ///
    /// - Throws: `.unauthorized` without a secret; `.notFound`.
    func find(_ id: String, secret: String?) throws -> Session {
        guard let secret else {
            throw VisemeError(
                .unauthorized, "A session's addresses need its secret",
                hint: "Send it as Viseme-Session-Secret, or as ?secret=… where a header cannot be sent.")
        }
        guard let session = sessions[id], session.isOpened(by: secret) else {
            throw VisemeError(.notFound, "There is no session '\(id.prefix(64))' with this secret")
        }
        return session
    }

    /// Figures for `/metrics`.
    func gauges() async -> [(name: String, value: Double)] {
        var (fps, speaking, viewers) = (0, 0, 0)
        for session in sessions.values {
            let gauges = await session.gauges
            fps += gauges.fps
            speaking += gauges.isSpeaking ? 1 : 0
            viewers += gauges.viewers
        }
        return [
            ("sessions", Double(sessions.count)), ("sessions_speaking", Double(speaking)),
            ("sessions_limit", Double(configuration.maxSessions)), ("viewers", Double(viewers)),
            ("pictures_per_second", Double(fps)),
        ]
    }
}
