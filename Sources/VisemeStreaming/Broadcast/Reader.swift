/// A client's bounded queue of a session's output. An overflow ends the connection, so that a slow client delays no other.
package struct Reader<Element: Sendable>: Sendable {
    private let queue: AsyncStream<Element>.Continuation
    private let disconnect: @Sendable () -> Void

    /// The queued and future elements.
    package let elements: AsyncStream<Element>

    /// Makes a queue.
    ///
    /// - Parameters:
    ///   - limit: The most queued elements.
    ///   - disconnect: Closes the connection, also during a write.
    init(limit: Int, disconnect: @escaping @Sendable () -> Void) {
        (elements, queue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(limit))
        self.disconnect = disconnect
    }

    /// Appends to the queue.
    ///
    /// - Returns: Whether the client still reads.
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

    /// Ends the queue. The client has three seconds to read the rest.
    func finish() {
        queue.finish()
        let disconnect = disconnect
        Task {
            // The sleep throws only when cancelled, and nothing cancels it.
            try? await Task.sleep(for: .seconds(3))
            disconnect()
        }
    }
}
