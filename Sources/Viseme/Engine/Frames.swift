/// The frames for some speech, made in order as they are asked for.
///
/// Audio is read and encoded just ahead of the frames; a bounded number of frames is drawn at once. Leaving the loop early
/// stops the work.
public struct Frames: AsyncSequence, Sendable {
    let engine: Engine
    let speech: any SpeechReader
    let range: Range<Int>

    /// Starts.
    public func makeAsyncIterator() -> Iterator {
        let engine = engine
        var source = JobSource(engine: engine, speech: speech, range: range)
        var planner = DrawPlanner(engine, first: range.lowerBound)
        return Iterator(
            frames: OrderedParallelMap(depth: engine.parallelism.depth) {
                try await source.next().map { planner.plan($0) }
            } transform: { job in
                try await engine.draw(job)
            })
    }

    /// Gives one frame after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let frames: OrderedParallelMap<DrawJob, Frame>

        /// The next frame, or nil after the last one.
        public mutating func next() async throws -> Frame? {
            try await frames.next()
        }
    }
}

/// Reads speech and encodes it until the next frame's feature window is complete.
private struct JobSource {
    /// Mel windows in one run of the encoder.
    private static let batch = 16

    private let engine: Engine
    private let speech: any SpeechReader
    private let range: Range<Int>
    private var timeline: SpeechTimeline

    init(engine: Engine, speech: any SpeechReader, range: Range<Int>) {
        self.engine = engine
        self.speech = speech
        self.range = range
        timeline = SpeechTimeline(
            engine.avatar.family, frames: range, choice: engine.avatar.manifest.featureWindow)
    }

    /// Reads and transforms speech; the caller's actor stays free.
    @concurrent mutating func next() async throws -> FrameJob? {
        while true {
            try Task.checkCancellation()
            if let job = timeline.nextFrame() { return job }
            if timeline.isComplete { return nil }
            let (melWindows, count) = timeline.takeMelWindows(limit: Self.batch)
            if count > 0 {
                timeline.accept(rows: try await engine.encode(melWindows, count: count))
            } else if let total = timeline.frameTotal {
                guard range.upperBound == Int.max || range.upperBound <= total else {
                    throw VisemeError(
                        .usage,
                        "The range \(range.lowerBound):\(range.upperBound) reaches beyond the audio, which has \(total) frames.",
                        hint: "Frames are counted from 0; the end is exclusive.")
                }
                return nil
            } else if let samples = try await speech.read() {
                timeline.append(samples)
            } else {
                timeline.finish()
            }
        }
    }
}
