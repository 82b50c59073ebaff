/// Decides for every picture whether a session sends the shared encoded picture or encodes its own.
///
/// A stream can switch sources only at a key frame: in the shared loop at the beginning of a group, in the session's own encoder
/// anywhere.
struct SplicePlan: Sendable {
    /// What a unit shows.
    enum Shown: Sendable, Equatable {
        /// An unchanged template frame.
        case template(Int)
        /// A drawn picture.
        case drawn
        /// The picture of the unit before.
        case same
    }

    /// How to produce its encoded picture.
    enum Step: Sendable, Equatable {
        /// Send the shared picture.
        case shared(Int)
        /// Encode this unit's picture or template frame.
        case encode(isKey: Bool)
        /// Encode the previous picture again.
        case repeated(isKey: Bool)
    }

    /// The position of the last shared picture; nil after any other picture.
    private var position: Int?
    private var isBegun = false

    /// The next step.
    ///
    /// - Parameters:
    ///   - shown: What the unit shows.
    ///   - needsKey: Whether a new viewer needs a key frame.
    ///   - isShared: Whether a position has a shared picture, and whether it begins a group.
    mutating func step(
        _ shown: Shown, needsKey: Bool, isShared: (Int) -> (exists: Bool, isStart: Bool)
    ) -> Step {
        if case .template(let next) = shown {
            let (exists, isStart) = isShared(next)
            if exists, isStart || (!needsKey && position == next - 1) {
                (position, isBegun) = (next, true)
                return .shared(next)
            }
        }
        // The session's encoder has not seen the shared pictures.
        let isKey = needsKey || position != nil || !isBegun
        (position, isBegun) = (nil, true)
        return shown == .same ? .repeated(isKey: isKey) : .encode(isKey: isKey)
    }
}
