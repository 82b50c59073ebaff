/// The result of a render: what was written, by which models and runtimes, and how long each stage took.
public struct RenderReport: Sendable {
    /// A model that took part.
    public struct Model: Sendable, Codable {
        /// What it does.
        public var role: ModelRole
        /// Its file.
        public var file: String
        /// The SHA-256 that was checked.
        public var sha256: String
        /// The runtime that ran it.
        public var runtime: RuntimeDescription
        /// What its weights say about training.
        public var verdict: TrainingVerdict.Kind
    }

    /// Median and 95th percentile of a stage, in milliseconds a frame.
    public struct StageSummary: Sendable, Codable {
        /// Median.
        public var p50: Double
        /// 95th percentile.
        public var p95: Double
    }

    /// Counts of frames by how they were produced. They depend on the speech, the pack and the memory, never on time.
    public struct Work: Sendable, Codable, Equatable {
        /// Frames for which all of the generator ran.
        public var generated = 0
        /// Frames for which only the audio-dependent part of the generator ran.
        public var fromKeptFeatures = 0
        /// Frames that are silent as one before them on the same template frame: nothing ran.
        public var silentReused = 0
        /// What is kept of the template frames.
        public var template: TemplateKeeping

        init(template: TemplateKeeping) { self.template = template }

        mutating func count(_ frame: Frame) {
            switch frame.origin {
            case .generated: generated += 1
            case .keptFeatures: fromKeptFeatures += 1
            case .silence: silentReused += 1
            case .template: break  // a render has no idle frames
            }
        }
    }

    /// Frames, durations and sound.
    public var video: VideoReport
    /// Wall-clock time from opening the audio to the finished file.
    public var elapsed: Duration
    /// By stage: "template", "crop", "prepare", "generate", "paste", "write".
    public var stages: [String: StageSummary]
    /// Counts of frames by how they were produced.
    public var work: Work
    /// The models.
    public var models: [Model]
    /// Recoverable problems (warnings), one sentence each.
    public var warnings: [String]

    /// Frames a second of wall-clock time.
    public var framesPerSecond: Double {
        let seconds = elapsed / .seconds(1)
        return seconds > 0 ? Double(video.frames) / seconds : 0
    }
}
