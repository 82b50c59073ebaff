import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeFaces
import VisemeModels
import VisemeONNX

/// `viseme report`.
struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Compare an avatar's mouth with the filmed one of a clip of its person.",
        discussion: """
            The clip's sound drives the avatar, whose mouth is drawn into the clip's own frames and measured beside the filmed one, \
            and once more with the wrong sound. The page is one file with pictures of the person; it is opened from the disk. \
            docs/your-own-avatar.md says what the figures mean. The exit status is 0 whatever they are; with --strict it is 1 \
            when one of them is poor.
            """)

    @OptionGroup var engine: EngineOptions

    @Option(help: "The clip: a video of the avatar's person who speaks.")
    var video: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The page to write.", valueName: "report.html"))
    var output: String

    @Option(help: ArgumentHelp("Write all figures, those of every frame included.", valueName: "FILE"))
    var json: String?

    @Option(
        help: ArgumentHelp(
            "Measure only this part, in seconds, such as 10:13.5; all of the clip is heard.", valueName: "a:b"))
    var range: SecondsRange?

    @Option(
        help: ArgumentHelp(
            "Delay the clip's sound by so many seconds, as `viseme-train prepare` found it.", valueName: "s"))
    var soundDelay = 0.0

    @Flag(help: "Exit with 1 when a figure is poor.")
    var strict = false

    @Flag(help: "Replace existing files.")
    var force = false

    func validate() throws {
        guard (-2...2).contains(soundDelay) else { throw ValidationError("--sound-delay is -2…2 seconds.") }
    }

    func run() async throws {
        let media = FFmpeg.viseme
        let clip = URL(filePath: video)
        guard FileManager.default.fileExists(atPath: clip.path) else {
            throw VisemeError(.noInput, "The clip '\(clip.path)' does not exist.", hint: "Check the path.")
        }
        // Asked before minutes of work.
        for path in [output, json].compactMap(\.self) where !force && FileManager.default.fileExists(atPath: path) {
            throw VisemeError(.cannotCreate, "'\(path)' exists.", hint: "Choose another name, or add --force.")
        }
        let avatar = try engine.openAvatar()
        let runner = try ONNXBackend(libraryPath: engine.onnxruntime)
        let models = try await FaceModels(FaceModelFiles(), runner: runner)
        var bar: (stage: Reenactment.Stage, progress: Progress)?
        func show(_ stage: Reenactment.Stage, _ done: Int, _ total: Int?) {
            if bar?.stage != stage {
                bar?.progress.end()
                bar = (stage, Progress(stage.words, total: total))
            }
            bar?.progress.update(done)
        }
        let reenactment = try await Reenactment(
            avatar, backend: try engine.makeBackend(), judge: WeightJudge(), models: models, media: media,
            threads: engine.parallelism.threads, allowUntrained: engine.allowUntrained, progress: show)
        let report = try await reenactment.run(
            clip: clip, seconds: range?.seconds ?? 0..<Double.infinity, soundDelay: soundDelay, progress: show)
        bar?.progress.end()
        for note in report.notes { Terminal.print("note: \(note)") }
        let page = try ReportPage(report) { try media.png($0) }.html()
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let text = String(decoding: try encoder.encode(report), as: UTF8.self) + "\n"
            try await TextOutput.write(to: URL(filePath: json), overwrite: force) { try $0(text) }
        }
        for row in report.judged {
            let name = row.name.padding(toLength: 20, withPad: " ", startingAt: 0)
            Terminal.print(
                "\(row.grade == .good ? "     " : row.grade.rawValue + " ") \(name) \(row.value)  (good: \(row.wanted))"
            )
        }
        try await TextOutput.write(to: URL(filePath: output), overwrite: force) { try $0(page) }
        if strict, report.judged.contains(where: { $0.grade == .poor }) { throw ExitCode(1) }
    }
}

extension Reenactment.Stage {
    fileprivate var words: String {
        switch self {
        case .template: "looking at the template"
        case .faces: "following the face"
        case .frames: "drawing and measuring"
        case .silence: "measuring silence"
        }
    }
}

/// `a:b` on the command line, in seconds; either may be left out.
struct SecondsRange: ExpressibleByArgument {
    let seconds: Range<Double>

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { return nil }
        let first = parts[0].isEmpty ? 0 : Double(parts[0])
        let end = parts[1].isEmpty ? Double.infinity : Double(parts[1])
        guard let first, let end, first.isFinite, first >= 0, first < end else { return nil }
        seconds = first..<end
    }
}
