/// All inputs and outputs of the audio encoder for some speech at once: to inspect, and to compare with a training.
///
/// Memory grows with the audio (about 100 kB a second); rendering does not use this.
public struct SpeechFeatures: Sendable {
    /// (80, T) row-major.
    public let mel: [Float]
    /// (n, 80, 16) row-major: the audio encoder's input.
    public let windows: [Float]
    /// n.
    public let windowCount: Int
    /// (n + 2, 512) row-major: the feature rows with the first and the last one doubled.
    public let rows: [Float]

    /// Reads some speech to its end and encodes it.
    public init(of speech: any SpeechReader, encoder: any AudioEncoder) async throws {
        var stream = MelStream()
        var timeline = SpeechTimeline()
        var columns: [Float] = []
        while let samples = try await speech.read() {
            columns += stream.append(samples)
            timeline.append(samples)
        }
        columns += stream.finish()
        timeline.finish()

        let (bands, steps) = (MelStream.bandCount, columns.count / MelStream.bandCount)
        mel = (0..<bands * steps).map { columns[$0 % steps * bands + $0 / steps] }
        var windows: [Float] = []
        var rows: [Float] = []
        while true {
            let (batch, count) = timeline.takeWindows(limit: 16)
            guard count > 0 else { break }
            windows += batch
            let new = try await encoder.encode(batch, count: count)
            try new.requireFinite("The audio encoder's output")
            rows += new
        }
        self.windows = windows
        windowCount = windows.count / (bands * SpeechTimeline.windowColumns)
        let width = SpeechTimeline.rowWidth
        self.rows = rows.prefix(width) + rows + rows.suffix(width)
    }
}
