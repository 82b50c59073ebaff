/// Somebody who takes what a session gives, at his own pace: a bounded queue, and the end of his connection if it overflows.
///
/// So nobody else ever waits for him.
struct Reader<Element: Sendable>: Sendable {
    private let queue: AsyncStream<Element>.Continuation
    private let disconnect: @Sendable () -> Void

    /// What waits for him, and what will come.
    let elements: AsyncStream<Element>

    /// Makes a queue.
    ///
    /// - Parameters:
    ///   - limit: Elements that may wait.
    ///   - disconnect: Ends the connection, also while something is being written to it.
    init(limit: Int, disconnect: @escaping @Sendable () -> Void) {
        (elements, queue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(limit))
        self.disconnect = disconnect
    }

    /// Appends to the queue.
    ///
    /// - Returns: Whether he still reads.
    func send(_ element: Element) -> Bool {
        switch queue.yield(element) {
        case .enqueued: return true
        case .dropped:
            queue.finish()
            disconnect()
            return false
        case .terminated: return false
        @unknown default: return true
        }
    }

    /// Nothing more comes. What waits he still gets, but not for ever.
    func finish() {
        queue.finish()
        let disconnect = disconnect
        Task {
            // Only cancellation ends it early, and nothing cancels it.
            try? await Task.sleep(for: .seconds(3))
            disconnect()
        }
    }
}
