/// A name that holds for some time: seconds from the beginning of the speech.
public struct MouthCue<Name: Sendable & Equatable>: Sendable, Equatable {
    /// What is shown.
    public var name: Name
    /// When it begins.
    public var start: Double
    /// When it ends.
    public var end: Double
}

/// Turns one name a frame into cues that hold long enough to be seen.
///
/// A name that lasts a single frame (40 ms) is shown only if it is `brief`, such as lips that touch; otherwise the cue before it
/// lasts on. So every other cue has at least two frames, and what a frame shows is known one frame later: a delay of 40 ms.
public struct MouthCues<Name: Sendable & Equatable>: Sendable {
    private let brief: [Name]
    private let frameRate: Double
    private var current: (name: Name, start: Int)?
    private var pending: Name?
    private var count = 0

    /// - Parameter brief: The names that may last one frame.
    public init(brief: [Name], frameRate: Int = 25) {
        self.brief = brief
        self.frameRate = Double(frameRate)
    }

    /// Takes the next frame's name; gives the cue that it ends, if it ends one.
    public mutating func append(_ name: Name) -> MouthCue<Name>? {
        defer { count += 1 }
        guard let before = pending else {
            pending = name
            return nil
        }
        defer { pending = name }
        return settle(before, isHeld: before == name)
    }

    /// Ends the speech; gives the last cues.
    public mutating func finish() -> [MouthCue<Name>] {
        var cues: [MouthCue<Name>] = []
        if let last = pending, let cue = settle(last, isHeld: current == nil) { cues.append(cue) }
        if let current { cues.append(cue(current, until: count)) }
        (pending, current, count) = (nil, nil, 0)
        return cues
    }

    /// Decides about frame `count` − 1, whose name is known together with whether the next one has it, too.
    private mutating func settle(_ name: Name, isHeld: Bool) -> MouthCue<Name>? {
        let frame = count - 1
        guard let shown = current else {
            current = (name, frame)
            return nil
        }
        guard name != shown.name, isHeld || brief.contains(name) else { return nil }
        current = (name, frame)
        return cue(shown, until: frame)
    }

    private func cue(_ shown: (name: Name, start: Int), until end: Int) -> MouthCue<Name> {
        MouthCue(name: shown.name, start: Double(shown.start) / frameRate, end: Double(end) / frameRate)
    }
}
