import ArgumentParser
import Foundation
import Viseme
import VisemeModels

/// `viseme inspect`.
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Say what a model file is, and whether it was ever trained.",
        discussion: """
            Reads .pth, .pt, .safetensors, .onnx files, .mlpackage folders and avatar packs. Nothing in a file is ever executed. \
            The exit status is 0 whatever the verdict; damaged files give 65.
            """)

    @Argument(help: "The model file, or an avatar pack.")
    var file: String

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print the statistics of every layer, too.")
    var layers = false

    func run() async throws {
        var urls = [URL(filePath: file)]
        if Avatar.isPack(at: urls[0]) {
            let avatar = try Avatar(contentsOf: urls[0])
            urls = try avatar.manifest.models.map { try avatar.member($0.file) }
        }
        let reports = try urls.map { ModelReport(try OpenedModel(at: $0)) }
        if json { return reports.count == 1 ? try Terminal.printJSON(reports[0]) : try Terminal.printJSON(reports) }
        for report in reports { try show(report) }
    }

    private func show(_ report: ModelReport) throws {
        try Terminal.result("\(report.file): \(report.format), \(report.bytes) bytes, SHA-256 \(report.sha256)")
        try Terminal.result("  network: \(report.family ?? "none that Viseme knows")")
        for tensor in report.inputs { try Terminal.result("  in   \(tensor)") }
        for tensor in report.outputs { try Terminal.result("  out  \(tensor)") }
        let precision = report.precision.sorted { $0.value > $1.value }.map { "\($0.value) \($0.key)" }
        try Terminal.result("  \(report.parameters) parameters (\(precision.joined(separator: ", ")))")
        let operations = report.operations.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
            "\($0.value) \($0.key)"
        }
        if !operations.isEmpty { try Terminal.result("  operations: \(operations.joined(separator: ", "))") }
        for (key, value) in report.metadata.sorted(by: { $0.key < $1.key }) {
            try Terminal.result("  \(key): \(value)")
        }
        for remark in report.remarks { try Terminal.result("  note: \(remark)") }
        if let problem = report.problem {
            try Terminal.result("  the network cannot be read: \(problem.replacing("\n", with: "\n    "))")
        }
        if layers {
            for layer in report.layers {
                try Terminal.result(
                    "  \(layer.name) \(layer.shape) \(layer.type): mean \(layer.mean), deviation \(layer.deviation), "
                        + "\(layer.minimum) … \(layer.maximum), \(Int(layer.zeros * 100)) % zeros")
            }
        }
        try Terminal.result("  verdict: \(report.verdict.kind.rawValue)")
        for line in report.verdict.evidence { try Terminal.result("    \(line)") }
    }
}
