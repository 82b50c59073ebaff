import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// `viseme convert`.
struct ConvertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Turn a checkpoint, an ONNX file or a Core ML package into ONNX or Core ML, or a pack into int8.",
        discussion: """
            Every tensor of the network must be in the source with its exact shape, and every tensor of the source must be used. \
            The result is read back, run, and compared with what the source computes; above the tolerance nothing is written. \
            int8 wants an avatar pack as its source and makes another one: its grids are fitted to the pack's own frames and to \
            speech, what it costs is measured on other frames, and below 38 dB nothing is written.
            """)

    enum Audio: String, ExpressibleByArgument, CaseIterable {
        case ave, hubert, wenet
    }

    enum Precision: String, ExpressibleByArgument, CaseIterable {
        case fp32, fp16, int8
    }

    @Argument(help: "The model: .pth, .pt, .safetensors, .onnx or .mlpackage; for int8 an avatar pack.")
    var source: String

    @Argument(help: "The model to write: ends in .onnx or .mlpackage; for int8 the pack to write.")
    var target: String

    @Option(help: "How weights are stored. An fp16 Core ML package computes in Float16 as well.")
    var precision = Precision.fp32

    @Option(help: "What a checkpoint's audio branch reads; only HuBERT models need it said.")
    var audio: Audio?

    @Option(help: ArgumentHelp("Speech to fit int8 to; the pack's golden speech by default.", valueName: "file"))
    var speech: String?

    @Flag(help: "Convert a network that was never trained. For tests; the result is stamped.")
    var allowUntrained = false

    @Flag(help: "Replace an existing file.")
    var force = false

    @Flag(help: "Print the report as JSON.")
    var json = false

    @Option(help: ArgumentHelp("ONNX Runtime's shared library.", valueName: "path"))
    var onnxruntime: String?

    func validate() throws {
        guard precision == .int8 || speech == nil else { throw ValidationError("--speech belongs to int8.") }
    }

    func run() async throws {
        if precision == .int8 { return try await quantise() }
        var converter = ModelConverter(
            tool: "viseme \(Release.version)", runner: try ONNXBackend(libraryPath: onnxruntime))
        converter.precision = precision == .fp16 ? .fp16 : .fp32
        converter.audio = audio.flatMap { GeneratorArchitecture.Audio(rawValue: $0.rawValue) }
        converter.allowUntrained = allowUntrained
        let report = try await converter.convert(URL(filePath: source), to: URL(filePath: target), overwrite: force)
        if json { return try Terminal.printJSON(report) }
        try Terminal.result("\(target): \(report.family), \(precision.rawValue), SHA-256 \(report.resultSHA256)")
        try Terminal.result("  source SHA-256 \(report.sourceSHA256), \(report.verdict.kind.rawValue)")
        if report.verdict.kind == .initialShape {
            Terminal.print(
                "warning: the weights still have the shape of initial values: was this training long enough?")
        }
        try Terminal.result(
            "  proved against the source's own arithmetic (\(report.runtime)), at most \(report.tolerance):")
        for difference in report.proof { try Terminal.result("    \(difference.line)") }
        if !report.precisionGap.isEmpty { try Terminal.result("  what \(precision.rawValue) costs against fp32:") }
        for difference in report.precisionGap { try Terminal.result("    \(difference.line)") }
    }

    private func quantise() async throws {
        let avatar = try Avatar(contentsOf: URL(filePath: source))
        let media = FFmpeg.viseme
        let quantiser = PackQuantiser(
            tool: "viseme \(Release.version)", backend: try ONNXBackend(libraryPath: onnxruntime), media: media)
        var reader: (any SpeechReader)?
        if let speech { reader = try await media.speech(at: URL(filePath: speech)) }
        let cost = try await quantiser.run(avatar, to: URL(filePath: target), speech: reader, overwrite: force)
        if json { return try Terminal.printJSON(cost) }
        let figures = String(format: "%.1f dB against fp32, articulation r %.4f", cost.psnr, cost.articulation)
        try Terminal.result(
            "\(target): generator in int8, \(figures) on \(cost.frames) frames that calibration had not seen")
    }
}
