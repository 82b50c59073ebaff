public import Foundation

/// An offline render: an audio file in, a video file out.
public struct Render: Sendable {
    /// The engine with its avatar.
    public var engine: Engine
    /// Opens the audio and writes the video.
    public var media: any MediaBackend
    /// The speech: any audio or video file.
    public var audio: URL
    /// The frames wanted; nil for all of them. With a range, the sound is cut to it and encoded anew, and the file says what it holds, for
    /// joining.
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
        // An output that cannot be written is an error before any frame is drawn.
        var request = VideoRequest(
            url: output, width: manifest.width, height: manifest.height, fps: manifest.fps,
            sound: .init(url: audio, range: seconds), crf: crf, overwrite: overwrite,
            declaresSynthetic: declaresSynthetic)
        request.notice = engine.untrainedNotice
        request.segment = range.map {
            VideoSegment(firstFrame: $0.lowerBound, of: manifest, notice: engine.untrainedNotice)
        }
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
                models: manifest.models.filter { ModelRole.drawing.contains($0.role) }.map { model in
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
