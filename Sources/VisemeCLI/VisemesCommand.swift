public import ArgumentParser
import Foundation
public import Viseme
import VisemeFFmpeg
import VisemeModels

extension VisemeFormat: ExpressibleByArgument {}

/// `viseme visemes`.
struct VisemesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "visemes",
        abstract: "Write what the mouth does: curves, blend shapes, visemes or letters, for characters of your own.",
        discussion: """
            The same ears as the picture's, in any language, without a picture. docs/visemes.md has the forms, the tables and \
            guides for Unity, Unreal, Godot and three.js.
            """)

    @OptionGroup var engine: EngineOptions

    @Argument(help: "Any audio or video file, or - for a pipe.")
    var audio: String

    @Option(name: .shortAndLong, help: "The file to write; standard output by default.")
    var output: String?

    @Option(help: "What to write.")
    var format = VisemeFormat.json

    @Option(help: ArgumentHelp("Samples a second, 25…120, for the forms that have samples.", valueName: "Hz"))
    var rate = 25

    @Option(
        help: ArgumentHelp(
            "A file with the text that is spoken: its words with their times are written, as WebVTT. Needs espeak-ng.",
            valueName: "FILE"))
    var text: String?

    @Option(help: "The language of the text, as espeak-ng names it.")
    var language = "en-us"

    @Flag(help: "Replace an existing output.")
    var force = false

    func validate() throws {
        guard text == nil || format == .vtt else {
            throw ValidationError("--text writes words as WebVTT: add --format vtt.")
        }
        guard VisemeWriter.rates.contains(rate) else { throw ValidationError("--rate is 25…120.") }
        guard rate == 25 || format.hasRate else {
            throw ValidationError("\(format.rawValue) has cues and no samples: --rate has no effect on it.")
        }
    }

    func run() async throws {
        let media = FFmpeg.viseme
        let aligner = try text.map { try WordAligner(try words(ofFile: $0)) }
        try await TextOutput.write(to: output.map { URL(filePath: $0) }, overwrite: force) { write in
            let input = try await AudioInput(audio, media: media)
            defer { input.remove() }
            let reader = try await MouthReader(
                try engine.openAvatar(), backend: try engine.makeBackend(), judge: WeightJudge(),
                allowUntrained: engine.allowUntrained)
            var writer = VisemeWriter(
                format, rate: rate, soundFile: audio == "-" ? "" : URL(filePath: audio).lastPathComponent)
            let speech = try await media.speech(at: input.url)
            if let aligner {
                var shapes: [MouthShape] = []
                for try await shape in reader.shapes(for: speech) { shapes.append(shape) }
                try write(VisemeWriter.webVTT(try aligner.align(shapes)))
                for warning in await speech.warnings { Terminal.print("note: \(warning)") }
                return
            }
            // Written in pieces of some kilobytes: one a frame would cost more than the networks.
            var text = ""
            for try await shape in reader.shapes(for: speech) {
                text += writer.append(shape)
                guard text.utf8.count > 1 << 14 else { continue }
                try write(text)
                text = ""
            }
            try write(text + writer.finish())
            for warning in await speech.warnings { Terminal.print("note: \(warning)") }
        }
    }

    private func words(ofFile path: String) throws -> [SpokenWord] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw VisemeError(.noInput, "The text '\(path)' cannot be read.")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw VisemeError(.badData, "The text '\(path)' is not UTF-8.", hint: "iconv -t utf-8 converts it.")
        }
        return try Pronunciation.words(of: text, language: language)
    }
}
