import Logging
import ServiceLifecycle
import Viseme
import VisemeStreaming

/// All sessions, and the limits on their number.
actor Sessions: Service {
    private let configuration: ServerConfiguration
    private let library: AvatarLibrary
    private let metrics: Metrics
    private let logger: Logger
    /// The speaking slots.
    nonisolated let slots: SpeakingSlots
    /// A session and who may use it; only the hash of its secret is kept.
    private struct Entry {
        var conversation: Conversation
        var client: String
        var secretHash: String
    }

    private var sessions: [String: Entry] = [:]
    /// The number of sessions being created, by client.
    private var pending: [String: Int] = [:]
    private let begun: AsyncStream<Conversation>
    private let begin: AsyncStream<Conversation>.Continuation
    private var isStopping = false

    init(_ configuration: ServerConfiguration, library: AvatarLibrary, metrics: Metrics, logger: Logger) {
        self.configuration = configuration
        self.library = library
        self.metrics = metrics
        self.logger = logger
        slots = SpeakingSlots(configuration.maxSpeaking, share: configuration.maxSpeakingPerClient)
        // Bounded by the number of sessions.
        (begun, begin) = AsyncStream.makeStream()
    }

    /// Runs all sessions until graceful shutdown; then they end with complete streams.
    func run() async throws {
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for await session in begun { group.addTask { await self.run(session) } }
            }
        } onGracefulShutdown: {
            Task { await self.stop() }
        }
        // A service that returns early would stop the server. Only cancellation throws here.
        try? await gracefulShutdown()
    }

    private func run(_ session: Conversation) async {
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

    /// Refuses new sessions and speech. Sessions end after their remaining speech, at the latest two seconds before
    /// `shutdownSeconds` are over, so that their streams are complete.
    func stop() async {
        isStopping = true
        begin.finish()
        for session in sessions.values { await session.conversation.drain() }
        let end = ContinuousClock.now + .seconds(configuration.shutdownSeconds - 2)
        while !sessions.isEmpty, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(50)) }
        for session in sessions.values { await session.conversation.end() }
    }

    /// Begins no session any more, and returns when all have ended, at the latest after `drainSeconds`. Until then they hear and speak as
    /// before: the server must go on listening.
    func drain() async {
        isStopping = true
        let end = ContinuousClock.now + .seconds(configuration.drainSeconds)
        logger.notice("Draining: \(sessions.count) sessions have \(configuration.drainSeconds) seconds to end")
        while room.used > 0, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(50)) }
    }

    /// The number of sessions that there are or begin, and of those that may still begin.
    var room: (used: Int, free: Int) {
        let used = sessions.count + pending.values.reduce(0, +)
        return (used, isStopping ? 0 : max(0, configuration.maxSessions - used))
    }

    /// Begins a session.
    ///
    /// - Returns: The session and its secret.
    /// - Throws: `.busy` at a limit, `.notFound` for an unknown avatar.
    func create(avatar id: String, client: String) async throws -> (session: Conversation, secret: String) {
        guard room.free > 0 else {
            metrics.count("refused_total", label: ("reason", "sessions"))
            throw VisemeError(
                .busy, isStopping ? "The server is stopping" : "All \(configuration.maxSessions) sessions are in use")
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
        let session = try await Conversation(
            id: configuration.newID(bytes: 12), avatar: avatar, client: client, slots: slots,
            settings: configuration.conversation
        ) { [metrics] in metrics.count($0) }
        guard !isStopping else { throw VisemeError(.busy, "The server is stopping") }
        sessions[session.id] = Entry(conversation: session, client: client, secretHash: hexDigest(of: secret))
        begin.yield(session)
        metrics.count("sessions_total")
        return (session, secret)
    }

    /// The session with an id and a secret. The error does not say which of them is wrong.
    ///
    /// - Throws: `.unauthorized` without a secret; `.notFound`.
    func find(_ id: String, secret: String?) throws -> Conversation {
        guard let secret else {
            throw VisemeError(
                .unauthorized, "This address needs the session's secret",
                hint: "Send it as Viseme-Session-Secret, or as ?secret=… when you cannot send a header.")
        }
        guard let session = sessions[id], equalInConstantTime(hexDigest(of: secret), session.secretHash) else {
            throw VisemeError(.notFound, "There is no session '\(id.prefix(64))' with this secret")
        }
        return session.conversation
    }

    /// Gauges for `/metrics`.
    func gauges() async -> [(name: String, value: Double)] {
        var (fps, speaking, viewers) = (0, 0, 0)
        for session in sessions.values {
            let gauges = await session.conversation.gauges()
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
