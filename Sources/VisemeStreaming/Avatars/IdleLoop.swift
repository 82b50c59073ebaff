import Synchronization
import Viseme
import VisemeFFmpeg

/// An avatar's template, encoded once for all sessions: closed groups of about a second that begin with a key frame.
///
/// An idle session sends these pictures instead of encoding its own. Only complete groups are visible.
final class IdleLoop: Sendable {
    /// The most bytes of all groups; sessions encode the rest themselves.
    private static let budget = 64 << 20
    /// Pictures in a group; the last group of a period may have fewer.
    private static let length = 25

    /// Pictures until the loop repeats: forward and back, repeated to fill a group.
    let period: Int
    private let groups = Mutex<(pictures: [Int: [EncodedUnit.Picture]], bytes: Int)>(([:], 0))

    /// Makes an empty loop.
    ///
    /// - Parameter frames: The number of template frames.
    init(frames: Int) {
        let round = max(1, 2 * (frames - 1))
        period = round * max(1, Self.length / round)
    }

    /// Whether a picture begins a group.
    func isStart(_ position: Int) -> Bool { position % period % Self.length == 0 }

    /// A picture; nil when its group is not encoded.
    func picture(at position: Int) -> EncodedUnit.Picture? {
        let index = position % period
        return groups.withLock { $0.pictures[index / Self.length]?[index % Self.length] }
    }

    /// Encodes all groups within the budget, one group at a time in each encoder.
    func fill(from engine: Engine, by encoders: [LiveEncoder]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (lane, encoder) in encoders.enumerated() {
                tasks.addTask {
                    for start in stride(from: lane * Self.length, to: self.period, by: encoders.count * Self.length) {
                        guard self.groups.withLock({ $0.bytes < Self.budget }) else { return }
                        var group: [EncodedUnit.Picture] = []
                        for position in start..<min(self.period, start + Self.length) {
                            let frame = try await engine.templateFrame(at: position)
                            group.append(try await encoder.picture(frame.picture, isKey: position == start))
                        }
                        self.groups.withLock { [group] in
                            $0.pictures[start / Self.length] = group
                            $0.bytes += group.reduce(0) { $0 + $1.data.count }
                        }
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }
}
