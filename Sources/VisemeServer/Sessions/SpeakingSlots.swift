import Synchronization

/// How many sessions may speak at once: what the machine can draw in time.
final class SpeakingSlots: Sendable {
    /// How many.
    let capacity: Int
    /// How many of one client.
    let share: Int
    private let taken = Mutex([String: Int]())

    init(_ capacity: Int, share: Int) { (self.capacity, self.share) = (capacity, share) }

    /// Takes a slot for a client, if there is one.
    func take(for client: String) -> Bool {
        taken.withLock { taken in
            guard taken.values.reduce(0, +) < capacity, taken[client, default: 0] < share else { return false }
            taken[client, default: 0] += 1
            return true
        }
    }

    /// Gives a slot back.
    func giveBack(for client: String) {
        taken.withLock { taken in
            taken[client, default: 0] -= 1
            if taken[client, default: 0] <= 0 { taken[client] = nil }
        }
    }

    /// Whether anybody speaks.
    var isInUse: Bool { taken.withLock { !$0.isEmpty } }
}
