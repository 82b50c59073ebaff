public import Foundation

/// An offline render: an audio file in, a video file out.
public struct Render: Sendable {
    /// The engine with its avatar.
    public var engine: Engine
    /// Opens the audio and writes the video.
    public var media: any MediaBackend
    /// The speech: any audio or video file.
    public var audio: URL
    /// The frames wanted; nil for all of them. With a range, the sound is cut to it and encoded anew.
    public var range: Range<Int>?
    /// x264's constant rate factor, 0 (lossless) … 51.
    public var crf = 18
    /// Whether an existing output may be replaced.
    public var overwrite = false
    /// Whether the container says that the video was made by a trained model.
    public var declaresSynthetic = true

    /// Describes a render.
    public init(engine: Engine, media: any MediaBackend, audio: URL) {
        self.engine = engine
        self.media = media
        self.audio = audio
    }

    /// Renders to `output`. Nothing appears under that name unless everything went well.
    ///
    /// - Parameters:
    ///   - output: `.mp4`, `.mov`, `.mkv`, or a folder for PNG images.
    ///   - progress: Called after every frame with the number of frames done.
    /// - Returns: What was written and how long it took.
    public func run(to output: URL, progress: (Int) -> Void = { _ in }) async throws -> RenderReport {
        let manifest = engine.avatar.manifest
        let seconds = range.map {
            Double($0.lowerBound) / Double(manifest.fps)..<Double($0.upperBound) / Double(manifest.fps)
        }
        // Asked first: an output that cannot be written is known before any work is done.
        var request = VideoRequest(
            url: output, width: manifest.width, height: manifest.height, fps: manifest.fps,
            sound: .init(url: audio, range: seconds), crf: crf, overwrite: overwrite,
            declaresSynthetic: declaresSynthetic)
        request.notice = engine.untrainedNotice
        let writer = try await media.writer(request)
        do {
            let start = ContinuousClock.now
            let speech = try await media.speech(at: audio)
            var timings = StageTimings()
            var work = RenderReport.Work(template: engine.keeping)
            var done = 0
            for try await frame in engine.frames(for: speech, range: range ?? 0..<Int.max) {
                try Task.checkCancellation()
                let before = ContinuousClock.now
                try await writer.append(frame.picture)
                timings.add(frame.durations, write: ContinuousClock.now - before)
                work.count(frame)
                done += 1
                progress(done)
            }
            let video = try await writer.finish()
            let runtimes = engine.runtimes
            return RenderReport(
                video: video, elapsed: ContinuousClock.now - start, stages: timings.summary(), work: work,
                models: manifest.models.map { model in
                    RenderReport.Model(
                        role: model.role, file: model.file, sha256: model.sha256,
                        runtime: model.role == .generator ? runtimes.generator : runtimes.audioEncoder,
                        verdict: engine.verdicts[model.role]?.kind ?? .unknown)
                },
                warnings: await speech.warnings + video.notes + [engine.untrainedNotice].compactMap(\.self))
        } catch {
            await writer.cancel()
            throw error
        }
    }
}

/// What a render wrote, what ran it, and how long its stages took.
public struct RenderReport: Sendable {
    /// A model that took part.
    public struct Model: Sendable, Codable {
        /// What it does.
        public var role: ModelRole
        /// Its file.
        public var file: String
        /// The SHA-256 that was checked.
        public var sha256: String
        /// What really ran it.
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

    /// How often what ran. It depends on the speech, the pack and the memory alone, never on the clock.
    public struct Work: Sendable, Codable, Equatable {
        /// Frames for which all of the generator ran.
        public var generated = 0
        /// Frames for which only the part ran that hears the audio.
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
    /// How often what ran.
    public var work: Work
    /// The models.
    public var models: [Model]
    /// Things that were survived, one sentence each.
    public var warnings: [String]

    /// Frames a second of wall-clock time.
    public var framesPerSecond: Double {
        let seconds = elapsed / .seconds(1)
        return seconds > 0 ? Double(video.frames) / seconds : 0
    }
}
