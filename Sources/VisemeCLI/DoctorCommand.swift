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
        discussion: """
            Runs every stage of a pack, or a single model, in seconds. With --system it looks at this machine instead: cores, instructions, \
            memory, ONNX Runtime, libav*, and says what to install. The exit status is 0 when all is well, 1 when not.
            """)

    @Argument(help: "The pack: a folder or a name; or a model file. 'robin' by default.")
    var subject: String?

    @Flag(help: "Look at this machine instead of a pack: what it can do, and what to install.")
    var system = false

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: ArgumentHelp("ONNX Runtime's shared library.", valueName: "path"))
    var onnxruntime: String?

    func validate() throws {
        guard !system || subject == nil else { throw ValidationError("--system looks at the machine, not at a pack.") }
    }

    func run() async throws {
        if system { return try examineSystem() }
        let report = try await examine()
        if json {
            try Terminal.printJSON(Output(guilty: report.guilty?.rawValue, findings: report.findings))
        } else {
            try show(report)
        }
        if !report.isHealthy { throw ExitCode(1) }
    }

    private struct Output: Encodable {
        var guilty: String?
        var findings: [DoctorReport.Finding]
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
        let subject = subject ?? "robin"
        let url = URL(filePath: subject)
        if !Avatar.isPack(at: url), FileManager.default.fileExists(atPath: url.path) {
            return await doctor.examine(modelAt: url)
        }
        var options = EngineOptions()
        options.avatar = subject
        return await doctor.examine(packAt: try options.findAvatar())
    }

    private func examineSystem() throws {
        let report = SystemReport.examine(onnxruntime: onnxruntime)
        if json {
            try Terminal.printJSON(report)
        } else {
            for finding in report.findings {
                try show(finding.outcome, finding.subject, finding.message, advice: finding.advice)
            }
            try Terminal.result(report.isReady ? "Viseme \(report.version) works here" : "something is missing")
        }
        if !report.isReady { throw ExitCode(1) }
    }

    private func show(
        _ outcome: DoctorReport.Outcome, _ subject: String, _ message: String, advice: String?
    ) throws {
        let isColoured = isatty(STDOUT_FILENO) == 1
        let (sign, colour) =
            switch outcome {
            case .good: ("ok  ", "32")
            case .bad: ("BAD ", "31")
            case .warn: ("warn", "33")
            case .skipped: ("--  ", "2")
            }
        let mark = isColoured ? "\u{1B}[\(colour)m\(sign)\u{1B}[0m" : sign
        try Terminal.result("\(mark) \(subject): \(message.replacing("\n", with: "\n       "))")
        if let advice { try Terminal.result("       → \(advice)") }
    }

    private func show(_ report: DoctorReport) throws {
        for finding in report.findings {
            try show(finding.outcome, finding.stage.rawValue, finding.message, advice: finding.advice)
        }
        if let guilty = report.guilty {
            try Terminal.result("guilty stage: \(guilty.rawValue)")
        } else {
            let warned = report.warned.map(\.rawValue)
            try Terminal.result(
                warned.isEmpty ? "all stages are well" : "no stage is bad; warnings: \(warned.joined(separator: ", "))")
        }
    }
}
