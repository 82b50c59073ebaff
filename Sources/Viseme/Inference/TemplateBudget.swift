/// The memory for template features.
public struct TemplateBudget: Sendable, Equatable {
    /// Template frames of the avatar.
    public var frames: Int
    /// Bytes that the kept features of all of them may occupy.
    public var bytes: Int

    /// States a budget.
    public init(frames: Int, bytes: Int) {
        self.frames = frames
        self.bytes = bytes
    }
}
