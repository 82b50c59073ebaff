import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg

/// `viseme stream`.
struct StreamCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream",
        abstract: "Let an avatar speak while the words arrive.",
        discussion: """
            Speech comes from a pipe, a file or an address, in any container or as bare samples (--format, --rate). Video goes \
            to a pipe, a file or an address as fragmented MP4, MPEG-TS or FLV. In real time the avatar is idle while nobody \
            speaks, and pictures that cannot be drawn in time are left out; sound never is. With --pace none the frames are \
            those of viseme render.
            """)

    enum Pace: String, ExpressibleByArgument, CaseIterable { case realtime, none }
    enum Container: String, ExpressibleByArgument, CaseIterable { case mp4, ts, flv, visemes }
    enum Format: String, ExpressibleByArgument, CaseIterable { case s16le, f32le }

    @OptionGroup var engine: EngineOptions

    @Option(help: ArgumentHelp("The speech: a file, an address, or - for a pipe.", valueName: "-|file|URL"))
    var input = "-"

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Where the video goes: - for a pipe, a file, or rtmp://…, srt://…, udp://….", valueName: "-|file|URL"))
    var output: String

    @Option(
        help:
            "The container; by default FLV for RTMP, MPEG-TS for other addresses, else MP4. visemes: no video, mouth shapes as JSON lines."
    )
    var container: Container?

    @Option(help: "The input is bare samples of this format.")
    var format: Format?

    @Option(help: ArgumentHelp("Rate of bare samples.", valueName: "Hz"))
    var rate: Int?

    @Option(help: "Channels of bare samples.")
    var channels = 1

    @Option(help: "In real time with idle frames, or as fast as possible and speech alone.")
    var pace = Pace.realtime

    @Option(
        help: ArgumentHelp(
            "How far ahead a frame hears, \(lookaheads.lowerBound)…\(lookaheads.upperBound): less is quicker and worse.",
            valueName: "ms"))
    var lookahead = lookaheads.upperBound

    @Option(help: "x264's quality: 0 (lossless) … 51.")
    var crf = 21

    @Flag(help: "Print a report as JSON, on standard error when the video is on standard output.")
    var json = false

    @OptionGroup var options: OutputOptions

    /// Milliseconds: from a frame's own to the longest look-ahead of a family. An avatar takes no more than its family's.
    private static let lookaheads: ClosedRange<Int> = {
        let longest = GeneratorFamily.known.map(\.lookaheadDuration).max() ?? LiveUnit.duration
        return Int(LiveUnit.duration / .milliseconds(1))...Int((longest / .milliseconds(1)).rounded(.up))
    }()

    func validate() throws {
        guard (0...51).contains(crf) else { throw ValidationError("--crf is 0…51.") }
        guard Self.lookaheads.contains(lookahead) else {
            throw ValidationError(
                "--lookahead is \(Self.lookaheads.lowerBound)…\(Self.lookaheads.upperBound) milliseconds.")
        }
        guard (format == nil) == (rate == nil) else {
            throw ValidationError("Bare samples need both --format and --rate; a container needs neither.")
        }
        guard container != .visemes || (lookahead == Self.lookaheads.upperBound && !Self.isAddress(output)) else {
            throw ValidationError(
                "Mouth shapes hear all that they need and go to a pipe or a file: no --lookahead, no address.")
        }
        guard output != "-" || container == .visemes || isatty(STDOUT_FILENO) == 0 else {
            throw ValidationError("Video is not printed on a terminal: pipe it, for example into: ffplay -")
        }
    }

    func run() async throws {
        // A reader that goes away is an error of the output, not a reason to vanish.
        signal(SIGPIPE, SIG_IGN)
        let start = ContinuousClock.now
        let media = FFmpeg.viseme
        let avatar = try engine.openAvatar()
        let backend = try engine.makeBackend()
        if container == .visemes { return try await streamVisemes(avatar, backend) }
        let loaded = try await engine.load(avatar, backend: backend, media: media)
        let loading = ContinuousClock.now - start
        let source = try await openSource(media)

        var settings = LiveSession.Settings()
        settings.sound = await source.form
        settings.lookahead = .milliseconds(lookahead)
        settings.pace = pace == .realtime ? .realTime : .none
        let session = try await LiveSession(loaded, settings: settings)
        let place: LiveRequest.Output =
            output == "-" ? .standardOutput : Self.isAddress(output) ? .address(output) : .file(URL(filePath: output))
        var request = LiveRequest(
            output: place, width: avatar.manifest.width, height: avatar.manifest.height, sound: settings.sound)
        request.container = container.flatMap { LiveRequest.Container(rawValue: $0.rawValue) }
        request.crf = crf
        request.overwrite = options.force
        request.declaresSynthetic = options.declareSynthetic
        request.notice = loaded.untrainedNotice
        let writer = try await media.liveWriter(request)

        // Not awaited after an interruption: reading a pipe cannot be cancelled, but the end of the process ends it.
        let reader = Task {
            do {
                while let (samples, sound) = try await source.read() { try await session.push(samples, sound: sound) }
                await session.end()
            } catch {
                await session.end()
                throw error
            }
        }
        var isInterrupted = false
        do {
            for try await unit in session.units { try await writer.append(unit) }
            try await reader.value
        } catch is CancellationError {
            isInterrupted = true
        } catch {
            await writer.cancel()
            throw error
        }
        let video = try await writer.finish()
        try await report(
            StreamReport(
                output: output, avatar: avatar.manifest.name, backend: backend.name, loading: loading, video: video,
                live: session.report,
                warnings: (isInterrupted ? [] : source.warnings) + [loaded.untrainedNotice].compactMap(\.self)))
        // What was written is complete; the status says that there would have been more.
        if isInterrupted { throw ExitCode(130) }
    }

    func openSource(_ media: FFmpeg) async throws -> LiveSource {
        var samples: RawSamples?
        if let rate, let format = format.flatMap({ RawSamples.Format(rawValue: $0.rawValue) }) {
            samples = RawSamples(format: format, rate: rate, channels: channels)
        }
        let address = input == "-" ? FFmpeg.standardInput : Self.isAddress(input) ? URL(string: input) : nil
        let url = address ?? URL(filePath: input)
        return try await Self.abandonable { [samples] in try await media.liveSource(at: url, samples: samples) }
    }

    private func report(_ report: StreamReport) throws {
        for warning in report.warnings { Terminal.print("note: \(warning)") }
        if json {
            try Terminal.printJSON(report, asMessage: output == "-")
        } else {
            let seconds = String(format: "%.2f", report.videoSeconds)
            Terminal.print(
                "\(report.frames) frames (\(seconds) s), \(report.live.speech) of speech, \(report.live.dropped) dropped"
            )
            if output != "-" { try Terminal.result(output) }
        }
    }

    private static func isAddress(_ text: String) -> Bool { text.contains("://") }

    /// Waits for something that may block for ever, but no longer than until the command is cancelled.
    private static func abandonable<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let (stream, continuation) = AsyncThrowingStream<Value, any Error>.makeStream()
        Task {
            do {
                continuation.yield(try await body())
                continuation.finish()
            } catch { continuation.finish(throwing: error) }
        }
        for try await value in stream { return value }
        throw CancellationError()
    }
}

/// The JSON of `viseme stream --json`.
private struct StreamReport: Encodable {
    var output: String
    var avatar: String
    var backend: String
    var loadingSeconds: Double
    var frames: Int
    var videoSeconds: Double
    var audioSeconds: Double
    var sound: String
    var live: LiveReport
    var warnings: [String]

    init(
        output: String, avatar: String, backend: String, loading: Duration, video: VideoReport, live: LiveReport,
        warnings: [String]
    ) {
        self.output = output
        self.avatar = avatar
        self.backend = backend
        loadingSeconds = loading / .seconds(1)
        frames = video.frames
        videoSeconds = video.videoSeconds
        audioSeconds = video.audioSeconds
        sound = video.sound
        self.live = live
        self.warnings = warnings
    }
}
