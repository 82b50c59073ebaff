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
    private let groups = Mutex<[Int: [EncodedUnit.Picture]]>([:])

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
        return groups.withLock { $0[index / Self.length]?[index % Self.length] }
    }

    /// Encodes all groups, as far as the budget goes.
    func fill(from engine: Engine, by encoder: LiveEncoder) async throws {
        var bytes = 0
        for start in stride(from: 0, to: period, by: Self.length) where bytes < Self.budget {
            var group: [EncodedUnit.Picture] = []
            for position in start..<min(period, start + Self.length) {
                let frame = try await engine.templateFrame(at: position)
                group.append(try await encoder.picture(frame.picture, isKey: position == start))
            }
            bytes += group.reduce(0) { $0 + $1.data.count }
            groups.withLock { [group] in $0[start / Self.length] = group }
        }
    }
}
