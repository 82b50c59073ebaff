/// One video frame to draw: its number and the feature window that its mouth depends on.
public struct FrameJob: Sendable, Equatable {
    /// Frame number; frame k shows audio [k/25, (k+1)/25) s.
    public var index: Int
    /// (rows, row width) row-major: the family's audio rows around the frame, zeros outside the speech.
    public var featureWindow: [Float]
    /// Whether every row of the feature window hears nothing but digital silence.
    public var isSilent = false
}
