/// All inputs and outputs of the audio encoder for some speech at once: to inspect, and to compare with a training.
///
/// Memory grows with the audio (about 100 kB a second); rendering does not use this.
public struct SpeechFeatures: Sendable {
    /// (bands, T) row-major.
    public let mel: [Float]
    /// (n, bands, columns) row-major: the audio encoder's input.
    public let melWindows: [Float]
    /// n.
    public let melWindowCount: Int
    /// The family's audio rows, row-major: SyncTalk_2D's are (n + 2, 512), with the first and the last one doubled.
    public let rows: [Float]

    /// Reads some speech to its end and encodes it.
    public init(of speech: any SpeechReader, family: GeneratorFamily, encoder: any AudioEncoder) async throws {
        var stream = MelStream(family.mel)
        var timeline = SpeechTimeline(family)
        var columns: [Float] = []
        while let samples = try await speech.read() {
            columns += stream.append(samples)
            timeline.append(samples)
        }
        columns += stream.finish()
        timeline.finish()

        let (bands, steps) = (family.mel.bandCount, columns.count / family.mel.bandCount)
        mel = (0..<bands * steps).map { columns[$0 % steps * bands + $0 / steps] }
        var melWindows: [Float] = []
        var rows: [Float] = []
        while true {
            let (batch, count) = timeline.takeMelWindows(limit: 16)
            guard count > 0 else { break }
            melWindows += batch
            let new = try await encoder.encode(batch, count: count)
            try new.requireFinite("The audio encoder's output")
            rows += new
        }
        self.melWindows = melWindows
        melWindowCount = melWindows.count / family.melWindowSize
        self.rows = family.featureWindow.audioRows(of: rows)
    }
}
