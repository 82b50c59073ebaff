import Viseme
import VisemeFFmpeg

/// A session's video for any number of viewers: encoded once, spliced from the avatar's shared loop and the session's own pictures.
///
/// Without viewers nothing is encoded.
actor Broadcast {
    private nonisolated let avatar: LoadedAvatar
    private let lagUnits: Int
    private var encoder: LiveEncoder?
    /// The number of the unit at which the encoder's sound began.
    private var soundStart = 0
    private var splice = SplicePlan()
    private var present = PresentPicture()
    private var viewers = Readers<EncodedUnit>()
    /// Viewers that need a key frame first.
    private var waiting: Set<Int> = []
    private var units = 0
    private var isEnded = false

    /// Makes a broadcast without viewers.
    ///
    /// - Parameter lagUnits: The units that a viewer may fall behind.
    init(_ avatar: LoadedAvatar, lagUnits: Int) { (self.avatar, self.lagUnits) = (avatar, lagUnits) }

    /// The number of viewers.
    var viewerCount: Int { viewers.count }

    /// Adds a viewer. It begins with the next picture, which is a key frame.
    ///
    /// - Parameters:
    ///   - limit: The most viewers.
    ///   - session: Names the session in an error.
    ///   - disconnect: Closes the connection of a viewer that falls behind.
    /// - Throws: `.busy` at the limit; `.notFound` when the broadcast has ended.
    func watch(
        upTo limit: Int, of session: String, disconnect: @escaping @Sendable () -> Void
    ) throws -> (number: Int, reader: Reader<EncodedUnit>) {
        guard !isEnded else { throw VisemeError(.notFound, "Session '\(session)' has ended") }
        guard viewers.count < limit else {
            throw VisemeError(.busy, "Session \(session) has \(viewers.count) viewers already")
        }
        let viewer = viewers.add(limit: lagUnits, disconnect: disconnect)
        waiting.insert(viewer.number)
        return viewer
    }

    /// Removes a viewer.
    func leave(_ number: Int) {
        viewers.remove(number)
        waiting.remove(number)
    }

    /// Sends a unit to all viewers.
    ///
    /// - Returns: The number of viewers that fell behind and were disconnected.
    func give(_ unit: LiveUnit) async throws -> Int {
        units = unit.index + 1
        _ = present.take(unit)
        guard viewers.count > 0 else {
            encoder = nil
            return 0
        }
        let encoder: LiveEncoder
        if let existing = self.encoder {
            encoder = existing
        } else {
            encoder = try avatar.makeEncoder()
            (self.encoder, splice, soundStart) = (encoder, SplicePlan(), unit.index)
        }
        let loop = avatar.idleLoop
        let what: SplicePlan.Shown =
            if let position = unit.templatePosition { .template(position) } else { unit.frame == nil ? .same : .drawn }
        let starting = waiting
        let step = splice.step(what, needsKey: !starting.isEmpty) { position in
            (loop?.picture(at: position) != nil, loop?.isStart(position) ?? false)
        }
        let encoded: EncodedUnit.Picture
        switch step {
        case .shared(let position):
            guard let shared = loop?.picture(at: position) else { return 0 }
            encoded = shared
        case .encode(let isKey):
            encoded = try await encoder.picture(try await present.picture(of: avatar.engine), isKey: isKey)
        case .repeated(let isKey):
            // A key frame needs the picture itself: the encoder may never have seen it.
            encoded = try await encoder.picture(
                isKey ? try await present.picture(of: avatar.engine) : nil, isKey: isKey)
        }
        let sound = try await encoder.sound(unit.sound)
        // A viewer that came meanwhile waits for the next key frame.
        if encoded.isKey { waiting.subtract(starting) }
        return send(EncodedUnit(index: unit.index, picture: encoded, sound: place(sound)))
    }

    /// Ends all streams after the last unit.
    ///
    /// - Parameter isComplete: Whether the rest of the sound is sent.
    func finish(isComplete: Bool) async throws {
        isEnded = true
        defer {
            viewers.finish()
            (encoder, present) = (nil, PresentPicture())
        }
        guard isComplete, viewers.count > 0, let encoder else { return }
        _ = send(EncodedUnit(index: units, picture: nil, sound: place(try await encoder.finishSound())))
    }

    private func place(_ sound: [EncodedUnit.Sound]) -> [EncodedUnit.Sound] {
        let offset = soundStart * LoadedAvatar.sound.rate / 25
        return sound.map { $0.moved(by: offset) }
    }

    private func send(_ unit: EncodedUnit) -> Int { viewers.send(unit) { !waiting.contains($0) } }
}
