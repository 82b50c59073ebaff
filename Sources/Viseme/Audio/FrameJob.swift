/// One video frame to draw: its number and the feature window that its mouth depends on.
public struct FrameJob: Sendable, Equatable {
    /// Frame number; frame k shows audio [k/25, (k+1)/25) s.
    public var index: Int
    /// (16, 512) row-major: audio rows index−8 … index+7, zeros outside the speech.
    public var window: [Float]
    /// Whether every row of the window hears nothing but digital silence.
    public var isSilent = false
}
