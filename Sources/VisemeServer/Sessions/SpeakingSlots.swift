import Synchronization

/// How many sessions may speak at once: what the machine can draw in time.
final class SpeakingSlots: Sendable {
    /// How many.
    let capacity: Int
    private let taken = Mutex(0)

    init(_ capacity: Int) { self.capacity = capacity }

    /// Takes a slot, if there is one.
    func take() -> Bool {
        taken.withLock { taken in
            guard taken < capacity else { return false }
            taken += 1
            return true
        }
    }

    /// Gives a slot back.
    func giveBack() { taken.withLock { $0 -= 1 } }

    /// Whether anybody speaks.
    var isInUse: Bool { taken.withLock { $0 > 0 } }
}
