import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// `viseme doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find out why a mouth does not move as it should: names the guilty stage.",
        discussion:
            "Runs every stage of a pack, or a single model, in seconds. The exit status is 0 when all is well, 1 when not."
    )

    @Argument(help: "The pack: a folder or a name; or a model file.")
    var subject = "robin"

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: ArgumentHelp("ONNX Runtime's shared library.", valueName: "path"))
    var onnxruntime: String?

    func run() async throws {
        let report = try await examine()
        try report.show(json: json)
    }

    private func examine() async throws -> DoctorReport {
        let onnx: ONNXBackend
        do {
            onnx = try ONNXBackend(libraryPath: onnxruntime)
        } catch let error as VisemeError where error.code == .unavailable {
            return DoctorReport(findings: [
                .init(stage: .runtime, outcome: .bad, message: error.message, advice: error.hint)
            ])
        }
        let doctor = Doctor(backend: TranslatingBackend(splitting: onnx), runner: onnx, media: FFmpeg.viseme)
        let url = URL(filePath: subject)
        if !Avatar.isPack(at: url), FileManager.default.fileExists(atPath: url.path) {
            return await doctor.examine(modelAt: url)
        }
        var options = EngineOptions()
        options.avatar = subject
        return await doctor.examine(packAt: try options.findAvatar())
    }
}

/// A report as JSON: the guilty stage first.
private struct ReportDocument: Encodable {
    var guilty: String?
    var findings: [DoctorReport.Finding]
}

extension DoctorReport {
    /// Prints the report.
    ///
    /// - Throws: `ExitCode(1)` when something is bad.
    func show(json: Bool) throws {
        if json {
            try Terminal.printJSON(ReportDocument(guilty: guilty?.rawValue, findings: findings))
        } else {
            try showLines()
        }
        if !isHealthy { throw ExitCode(1) }
    }

    private func showLines() throws {
        let isColoured = isatty(STDOUT_FILENO) == 1
        func mark(_ outcome: DoctorReport.Outcome) -> String {
            let (sign, colour) =
                switch outcome {
                case .good: ("ok  ", "32")
                case .bad: ("BAD ", "31")
                case .warn: ("warn", "33")
                case .skipped: ("--  ", "2")
                }
            return isColoured ? "\u{1B}[\(colour)m\(sign)\u{1B}[0m" : sign
        }
        for finding in findings {
            try Terminal.result(
                "\(mark(finding.outcome)) \(finding.stage.rawValue): \(finding.message.replacing("\n", with: "\n       "))"
            )
            if let advice = finding.advice { try Terminal.result("       → \(advice)") }
        }
        if let guilty {
            try Terminal.result("guilty stage: \(guilty.rawValue)")
        } else {
            let warned = self.warned.map(\.rawValue)
            try Terminal.result(
                warned.isEmpty ? "all stages are well" : "no stage is bad; warnings: \(warned.joined(separator: ", "))")
        }
    }
}
