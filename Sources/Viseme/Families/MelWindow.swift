/// The mel columns that the audio encoder hears at once.
public struct MelWindow: Sendable, Equatable {
    /// Columns in a window.
    public let columns: Int
    /// Columns by which `hopWindows` windows advance; there is one window a video frame.
    public let hopColumns: Int
    /// Windows that advance by `hopColumns` columns.
    public let hopWindows: Int
    /// Windows that a mel has beyond those that its length gives.
    public let surplus: Int

    /// Describes windows.
    public init(columns: Int, hopColumns: Int, hopWindows: Int, surplus: Int) {
        (self.columns, self.hopColumns, self.hopWindows) = (columns, hopColumns, hopWindows)
        self.surplus = surplus
    }

    /// The first column of window k, if it does not reach past the end of the mel.
    public func start(of k: Int) -> Int { hopColumns * k / hopWindows }
}
