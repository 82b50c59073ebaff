import Synchronization
import Viseme
import VisemeFFmpeg

/// An avatar's template, encoded once for all sessions: closed groups of about a second that begin with a key frame.
///
/// While nobody speaks a session sends these pictures instead of encoding its own. Only what is complete can be seen here.
final class IdleLoop: Sendable {
    /// Bytes of all groups at most; what is beyond is encoded by every session itself.
    private static let budget = 64 << 20
    /// Pictures of a group, but for the last one of a round.
    private static let length = 25

    /// Pictures until the template repeats: there and back, as often as a group needs.
    let period: Int
    private let groups = Mutex<(pictures: [Int: [EncodedUnit.Picture]], bytes: Int)>(([:], 0))

    /// Describes the loop of a template.
    ///
    /// - Parameter frames: Of the template.
    init(frames: Int) {
        let round = max(1, 2 * (frames - 1))
        period = round * max(1, Self.length / round)
    }

    /// Whether a group begins with a picture.
    func isStart(_ position: Int) -> Bool { position % period % Self.length == 0 }

    /// A picture, where its group is there.
    func picture(at position: Int) -> EncodedUnit.Picture? {
        let index = position % period
        return groups.withLock { $0.pictures[index / Self.length]?[index % Self.length] }
    }

    /// Encodes all groups, as far as the budget goes: as many at once as there are encoders.
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
