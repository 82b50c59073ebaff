import Synchronization

/// Slots for sessions that speak at once: as many as the machine can draw in time.
package final class SpeakingSlots: Sendable {
    /// The number of slots.
    let capacity: Int
    /// The number of slots for one client.
    let share: Int
    private let taken = Mutex([String: Int]())

    package init(_ capacity: Int, share: Int) { (self.capacity, self.share) = (capacity, share) }

    /// Takes a slot for a client.
    ///
    /// - Returns: Whether one was free.
    func take(for client: String) -> Bool {
        taken.withLock { taken in
            guard taken.values.reduce(0, +) < capacity, taken[client, default: 0] < share else { return false }
            taken[client, default: 0] += 1
            return true
        }
    }

    /// Returns a slot.
    func giveBack(for client: String) {
        taken.withLock { taken in
            taken[client, default: 0] -= 1
            if taken[client, default: 0] <= 0 { taken[client] = nil }
        }
    }

    /// Whether any slot is in use.
    package var isInUse: Bool { taken.withLock { !$0.isEmpty } }
}
