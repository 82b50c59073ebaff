/// Transforms the elements of a pulled source, several at once, and gives the results in order.
///
/// Never more than `depth` elements are between source and result, so memory is bounded and no
/// work is done in advance. The project's only parallel map. Releasing this object cancels its tasks.
final class OrderedParallelMap<Element: Sendable, Result: Sendable> {
    private let depth: Int
    private let source: () async throws -> Element?
    private let transform: @Sendable (Element) async throws -> Result
    private var running: [Task<Result, any Error>] = []
    private var isExhausted = false

    init(
        depth: Int, source: @escaping () async throws -> Element?,
        transform: @escaping @Sendable (Element) async throws -> Result
    ) {
        self.depth = depth
        self.source = source
        self.transform = transform
    }

    deinit { running.forEach { $0.cancel() } }

    /// The next result in the source's order, or nil at the end. After an error there is nothing more.
    func next() async throws -> Result? {
        do {
            while !isExhausted, running.count < depth {
                guard let element = try await source() else {
                    isExhausted = true
                    break
                }
                let transform = transform
                running.append(Task { try await transform(element) })
            }
            guard !running.isEmpty else { return nil }
            let first = running.removeFirst()
            return try await withTaskCancellationHandler {
                try await first.value
            } onCancel: {
                first.cancel()
            }
        } catch {
            isExhausted = true
            running.forEach { $0.cancel() }
            running = []
            throw error
        }
    }
}
