import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg

/// `viseme render`.
struct RenderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render",
        abstract: "Render an avatar speaking an audio file.",
        discussion: """
            The video is as long as the audio to the frame and carries the original audio. The output is .mp4, .mov or .mkv, \
            or a folder of PNG images. The container says that the video was made by a trained model.
            """)

    @OptionGroup var engine: EngineOptions

    @Option(help: "The speech: any audio or video file, or - for a pipe.")
    var audio: String

    @Option(name: .shortAndLong, help: "The video to write; with a trailing slash or --format png a folder for images.")
    var output: String

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case png
    }

    @Option(help: "png for a folder of images; otherwise the output's extension says what is written.")
    var format: Format?

    @Option(help: ArgumentHelp("Only these frames, counted from 0, the end exclusive.", valueName: "a:b"))
    var range: FrameRange?

    @Option(help: "x264's quality: 0 (lossless) … 51.")
    var crf = 18

    @Flag(help: "Print a report as JSON.")
    var json = false

    @OptionGroup var options: OutputOptions

    func validate() throws {
        guard (0...51).contains(crf) else { throw ValidationError("--crf is 0…51.") }
        guard output != "-" else {
            throw ValidationError("A video file cannot be written to standard output: viseme stream --output - can.")
        }
        // A mistyped name must not become a folder without sound.
        let isFolder = output.hasSuffix("/") || format == .png
        guard isFolder || !URL(filePath: output).pathExtension.isEmpty else {
            throw ValidationError(
                "'\(output)' has no extension: end it in .mp4, .mov or .mkv, or give --format png for a folder of images."
            )
        }
    }

    func run() async throws {
        let media = FFmpeg.viseme
        let start = ContinuousClock.now
        let avatar = try engine.openAvatar()
        let backend = try engine.makeBackend()
        let input = try await AudioInput(audio, media: media)
        defer { input.remove() }
        // Asked before the models are loaded: a sound that is not there, an output that may not be written.
        let target = URL(filePath: output, directoryHint: format == .png ? .isDirectory : .inferFromPath)
        try media.check(sound: input.url, output: target, overwrite: options.force)
        let loaded = try await engine.load(avatar, backend: backend, media: media)
        let loading = ContinuousClock.now - start

        var render = Render(engine: loaded, media: media, audio: input.url)
        render.range = range?.frames
        render.crf = crf
        render.overwrite = options.force
        render.declaresSynthetic = options.declareSynthetic
        var progress = Progress(
            "rendering", total: try await expectedFrames(of: input.url, fps: avatar.manifest.fps, media: media))
        var firstFrame: Duration?
        let report = try await render.run(to: target) { done in
            firstFrame = firstFrame ?? ContinuousClock.now - start
            progress.update(done)
        }
        progress.end()
        for warning in report.warnings { Terminal.print("note: \(warning)") }
        if json {
            try Terminal.printJSON(
                ReportDocument(
                    report, output: output, backend: backend.name, loading: loading, firstFrame: firstFrame,
                    avatar: avatar))
        } else {
            let seconds = String(format: "%.2f", report.video.videoSeconds)
            let fps = String(format: "%.1f", report.framesPerSecond)
            Terminal.print("\(report.video.frames) frames (\(seconds) s), \(fps) fps, sound: \(report.video.sound)")
            try Terminal.result(output)
        }
    }

    private func expectedFrames(of url: URL, fps: Int, media: FFmpeg) async throws -> Int? {
        if let range { return range.frames.count }
        guard !json || Terminal.isInteractive else { return nil }
        // Only the progress bar wants the length; a file without a known one renders as well.
        return try await media.probe(url).audio.map { Int(($0.seconds * Double(fps)).rounded(.up)) }
    }
}

/// `a:b` on the command line.
struct FrameRange: ExpressibleByArgument {
    let frames: Range<Int>

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let first = parts[0], let end = parts[1], first >= 0, first < end, end < 1 << 40 else {
            return nil
        }
        frames = first..<end
    }
}

/// The JSON of `viseme render --json`.
private struct ReportDocument: Encodable {
    var output: String
    var avatar: String
    var frames: Int
    var videoSeconds: Double
    var audioSeconds: Double
    var sound: String
    var elapsedSeconds: Double
    var loadingSeconds: Double
    var firstFrameSeconds: Double?
    var cpuSeconds: Double
    var fps: Double
    var realTimeFactor: Double
    var stagesMilliseconds: [String: RenderReport.StageSummary]
    var work: RenderReport.Work
    var peakMemoryBytes: Int
    var backend: String
    var models: [RenderReport.Model]
    var warnings: [String]

    init(
        _ report: RenderReport, output: String, backend: String, loading: Duration, firstFrame: Duration?,
        avatar: Avatar
    ) {
        self.output = output
        self.avatar = avatar.manifest.name
        frames = report.video.frames
        videoSeconds = report.video.videoSeconds
        audioSeconds = report.video.audioSeconds
        sound = report.video.sound
        elapsedSeconds = report.elapsed / .seconds(1)
        loadingSeconds = loading / .seconds(1)
        firstFrameSeconds = firstFrame.map { $0 / .seconds(1) }
        cpuSeconds = Double(clock()) / Double(CLOCKS_PER_SEC)
        fps = report.framesPerSecond
        realTimeFactor = report.framesPerSecond / Double(avatar.manifest.fps)
        stagesMilliseconds = report.stages
        work = report.work
        peakMemoryBytes = Self.peakMemory()
        self.backend = backend
        models = report.models
        warnings = report.warnings
    }

    /// The largest resident size of this process so far.
    private static func peakMemory() -> Int {
        var usage = rusage()
        #if canImport(Darwin)
            getrusage(RUSAGE_SELF, &usage)
            return Int(usage.ru_maxrss)
        #else
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            return Int(usage.ru_maxrss) * 1024  // Linux counts in kilobytes
        #endif
    }
}
