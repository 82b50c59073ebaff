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
        let subject = subject ?? "robin"
        let url = URL(filePath: subject)
        if !Avatar.isPack(at: url), FileManager.default.fileExists(atPath: url.path) {
            return await doctor.examine(modelAt: url)
        }
        var options = EngineOptions()
        options.avatar = subject
        return await doctor.examine(packAt: try options.findAvatar())
    }
}

extension DoctorCommand {
    private func examineSystem() throws {
        let report = SystemReport.examine(onnxruntime: onnxruntime)
        if json {
            try Terminal.printJSON(report)
        } else {
            for finding in report.findings {
                try finding.outcome.show(finding.subject, finding.message, advice: finding.advice)
            }
            try Terminal.result(report.isReady ? "Viseme \(report.version) works here" : "something is missing")
        }
        if !report.isReady { throw ExitCode(1) }
    }
}

extension DoctorReport.Outcome {
    /// Prints a finding.
    fileprivate func show(_ subject: String, _ message: String, advice: String?) throws {
        let (sign, colour) =
            switch self {
            case .good: ("ok  ", "32")
            case .bad: ("BAD ", "31")
            case .warn: ("warn", "33")
            case .skipped: ("--  ", "2")
            }
        let mark = isatty(STDOUT_FILENO) == 1 ? "\u{1B}[\(colour)m\(sign)\u{1B}[0m" : sign
        try Terminal.result("\(mark) \(subject): \(message.replacing("\n", with: "\n       "))")
        if let advice { try Terminal.result("       → \(advice)") }
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
        for finding in findings {
            try finding.outcome.show(finding.stage.rawValue, finding.message, advice: finding.advice)
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
