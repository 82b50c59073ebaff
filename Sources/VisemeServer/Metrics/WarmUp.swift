import ServiceLifecycle
import Synchronization
import Viseme

/// Whether the server can do what it is for.
final class Readiness: Sendable {
    private let state = Mutex((hasRun: false, isStopping: false))

    /// Whether an inference has run, and the server is not about to stop.
    var isReady: Bool { state.withLock { $0.hasRun && !$0.isStopping } }

    fileprivate func set() { state.withLock { $0.hasRun = true } }

    /// The server is about to stop.
    func stop() { state.withLock { $0.isStopping = true } }
}

/// Makes the server ready, while it answers already; where that fails the server ends.
struct WarmUp: Service {
    private let library: AvatarLibrary
    private let readiness: Readiness
    private let onReady: @Sendable (String) -> Void
    private let addresses: AsyncStream<String>
    private let address: AsyncStream<String>.Continuation

    /// - Parameter onReady: Gets the server's address, once.
    init(library: AvatarLibrary, readiness: Readiness, onReady: @escaping @Sendable (String) -> Void) {
        self.library = library
        self.readiness = readiness
        self.onReady = onReady
        (addresses, address) = AsyncStream.makeStream()
    }

    /// Says where the server listens.
    func listens(at address: String) { self.address.yield(address) }

    /// Loads the default avatar, speaks with it once, and encodes its template.
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
            // Whoever starts the server gets the reason, clients do not.
            throw error.cause ?? error
        }
        var settings = LiveSession.Settings()
        settings.pace = .none
        let session = try await LiveSession(avatar.engine, settings: settings)
        try await session.push((0..<4800).map { Float($0 % 160) / 160 - 0.5 })
        await session.end()
        for try await _ in session.units {}
        // Until then every idle session would encode the same pictures.
        await avatar.isFilled()
    }
}
