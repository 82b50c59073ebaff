/// What a live session has done so far.
public struct LiveReport: Sendable, Codable {
    /// Units given, 40 ms each.
    public var units = 0
    /// Units of speech among them.
    public var speech = 0
    /// Units without a picture, because none could be drawn in time; their sound was given.
    public var dropped = 0
    /// Units that show a picture which was drawn too late for its own unit, by at most 80 ms where it speaks.
    public var late = 0
    /// Units for which the rest of a sentence had not come: silence, and the picture before stays.
    public var starved = 0
    /// Calls of `interrupt()`.
    public var interrupts = 0
    /// Milliseconds, as median and 95th percentile of the last 4096: "firstFrame" from the arrival of the audio that the first
    /// frame of a sentence needs to that frame; "draw" of speech, from planned to drawn; "interrupt" from the call to the first
    /// picture after it.
    public var latency: [String: RenderReport.StageSummary] = [:]
}
