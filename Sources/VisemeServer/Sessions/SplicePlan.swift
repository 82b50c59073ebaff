/// Decides picture by picture whether a stream sends what was encoded for all sessions, or encodes its own.
///
/// Pictures of one source can follow those of the other wherever a key frame begins, and only there: in the shared loop at the
/// beginning of a group, in the session's own encoder everywhere.
struct SplicePlan: Sendable {
    /// What a unit shows.
    enum Shown: Sendable, Equatable {
        /// The template as it is.
        case template(Int)
        /// A picture of its own.
        case drawn
        /// The same as the unit before.
        case same
    }

    /// What is to be done for it.
    enum Step: Sendable, Equatable {
        /// Send the shared picture.
        case shared(Int)
        /// Encode this unit's picture, or that of the template.
        case encode(isKey: Bool)
        /// Encode the picture before again.
        case repeated(isKey: Bool)
    }

    /// The shared picture that was sent last, if nothing else was sent since.
    private var position: Int?
    private var isBegun = false

    /// The next step.
    ///
    /// - Parameters:
    ///   - shown: What the unit shows.
    ///   - needsKey: Whether somebody joined, who needs a key frame.
    ///   - isShared: Whether there is a shared picture with a number, and whether its group begins with it.
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
        // The own encoder knows nothing of what the shared one made.
        let isKey = needsKey || position != nil || !isBegun
        (position, isBegun) = (nil, true)
        return shown == .same ? .repeated(isKey: isKey) : .encode(isKey: isKey)
    }
}
