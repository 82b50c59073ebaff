/// Speech in, mouth shapes out: the ears of an avatar without its pictures.
///
/// ```swift
/// let reader = try await MouthReader(avatar, backend: ONNXBackend(), judge: WeightJudge())
/// for try await shape in reader.shapes(for: try await FFmpeg().speech(at: audioURL)) { move(shape) }
/// ```
///
/// The parameters are those that the avatar's generator draws in the same frame.
public struct MouthReader: Sendable {
    /// The avatar whose audio encoder and articulator are used.
    public let avatar: Avatar
    /// What the judge says of both models.
    public let verdicts: [ModelRole: TrainingVerdict]
    let encoder: any AudioEncoder
    let articulator: any Articulator

    /// Loads the models, off the caller's actor.
    ///
    /// - Parameters:
    ///   - allowUntrained: For tests: whether models that were never trained may run.
    /// - Throws: `.noInput` when the pack has no articulator; otherwise as `Engine`.
    public init(
        _ avatar: Avatar, backend: any InferenceBackend, judge: any ModelJudge, allowUntrained: Bool = false
    ) async throws {
        let (encoderFile, heard) = try await judge.admit(avatar.model(.audioEncoder), allowUntrained: allowUntrained)
        try await self.init(
            avatar, hearing: try await backend.audioEncoder(encoderFile, threads: 1), heard: heard, backend: backend,
            judge: judge, allowUntrained: allowUntrained)
    }

    /// Loads the articulator behind an audio encoder that is loaded.
    init(
        _ avatar: Avatar, hearing encoder: any AudioEncoder, heard: TrainingVerdict, backend: any InferenceBackend,
        judge: any ModelJudge, allowUntrained: Bool
    ) async throws {
        guard avatar.manifest.models.contains(where: { $0.role == .articulator }) else {
            throw VisemeError(
                .noInput, "The pack '\(avatar.manifest.name)' has no articulator: it draws, and tells no mouth shapes.",
                hint: "Use a pack of the compact family that has one, such as robin.")
        }
        let (file, told) = try await judge.admit(avatar.model(.articulator), allowUntrained: allowUntrained)
        self.avatar = avatar
        self.encoder = encoder
        verdicts = [.audioEncoder: heard, .articulator: told]
        articulator = try await backend.articulator(file, threads: 1)
    }

    /// The shapes for some speech, one a video frame, made as they are asked for.
    public func shapes(for speech: any SpeechReader) -> MouthShapes { MouthShapes(reader: self, speech: speech) }

    /// The shape of a frame whose feature window is at hand, such as that of a live unit.
    ///
    /// - Parameter featureWindow: (rows, row width) of the avatar's family.
    public func shape(hearing featureWindow: [Float]) async throws -> MouthShape {
        try MouthShape(values: try await articulator.articulate(featureWindow))
    }
}

/// Mouth shapes of some speech: element k is that of video frame k, [k / 25, (k + 1) / 25) s.
public struct MouthShapes: AsyncSequence, Sendable {
    let reader: MouthReader
    let speech: any SpeechReader

    /// Begins at the first frame. The speech is read once.
    public func makeAsyncIterator() -> Iterator {
        let avatar = reader.avatar
        return Iterator(
            reader: reader, speech: speech,
            timeline: SpeechTimeline(avatar.family, choice: avatar.manifest.featureWindow))
    }

    /// Reads as far as the next shape needs.
    public struct Iterator: AsyncIteratorProtocol {
        let reader: MouthReader
        let speech: any SpeechReader
        var timeline: SpeechTimeline

        /// The next frame's shape; nil after the last one.
        public mutating func next() async throws -> MouthShape? {
            while true {
                try Task.checkCancellation()
                if let job = timeline.nextFrame() { return try await reader.shape(hearing: job.featureWindow) }
                let (melWindows, count) = timeline.takeMelWindows(limit: 16)
                if count > 0 {
                    let rows = try await reader.encoder.encode(melWindows, count: count)
                    try rows.requireFinite("The audio encoder's output")
                    timeline.accept(rows: rows)
                } else if timeline.frameTotal != nil {
                    return nil
                } else if let samples = try await speech.read() {
                    timeline.append(samples)
                } else {
                    timeline.finish()
                }
            }
        }
    }
}
