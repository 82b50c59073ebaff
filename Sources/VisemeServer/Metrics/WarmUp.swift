import ServiceLifecycle
import Synchronization
import Viseme
import VisemeStreaming

/// Whether the server is ready for requests.
final class Readiness: Sendable {
    private let state = Mutex((hasRun: false, isStopping: false))

    /// Whether an inference has run and the server is not stopping.
    var isReady: Bool { state.withLock { $0.hasRun && !$0.isStopping } }

    fileprivate func set() { state.withLock { $0.hasRun = true } }

    /// Marks the server as stopping.
    func stop() { state.withLock { $0.isStopping = true } }
}

/// Warms the server up while it already answers requests; a failure ends the server.
struct WarmUp: Service {
    private let library: AvatarLibrary
    private let readiness: Readiness
    private let onReady: @Sendable (String) -> Void
    private let addresses: AsyncStream<String>
    private let address: AsyncStream<String>.Continuation

    /// - Parameter onReady: Called once with the server's address.
    init(library: AvatarLibrary, readiness: Readiness, onReady: @escaping @Sendable (String) -> Void) {
        self.library = library
        self.readiness = readiness
        self.onReady = onReady
        (addresses, address) = AsyncStream.makeStream()
    }

    /// Sets the address that the server listens on.
    func listens(at address: String) { self.address.yield(address) }

    /// Loads the default avatar, runs one inference, and encodes the template.
    func run() async throws {
        try await warmUp()
        readiness.set()
        for await address in addresses.cancelOnGracefulShutdown() { onReady(address) }
    }

    /// Holds the avatar only until it is ready: afterwards the library may unload it.
    private func warmUp() async throws {
        let avatar: LoadedAvatar
        do {
            avatar = try await library.load(try await library.defaultID())
        } catch let error as VisemeError where error.code == .internal {
            // The operator gets the reason, clients do not.
            throw error.cause ?? error
        }
        var settings = LiveSession.Settings()
        settings.pace = .none
        let session = try await LiveSession(avatar.engine, settings: settings)
        try await session.push((0..<4800).map { Float($0 % 160) / 160 - 0.5 })
        await session.end()
        for try await _ in session.units {}
        // Before that every idle session would encode the same pictures.
        await avatar.isFilled()
    }
}
