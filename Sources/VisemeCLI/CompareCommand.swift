import ArgumentParser
import Foundation
import Viseme
import VisemeModels
import VisemeONNX

/// `viseme compare`.
struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Hold two models, packs or arrays against each other, to the first layer that differs.",
        discussion: """
            Models of one role in any two formats: first the folded weights, then the outputs on fixed inputs, then every tensor \
            between the layers. Arrays: .npy, or .bin with raw little-endian float32. The exit status is 0 when they are equal \
            within the tolerance, 1 when they are not.
            """)

    @Argument(help: "The one that is trusted.")
    var a: String

    @Argument(help: "The other one.")
    var b: String

    @Option(help: "Absolute tolerance.")
    var atol = 1e-4

    @Option(help: "Relative tolerance.")
    var rtol = 1e-3

    @Flag(help: "Compare every layer even when the outputs agree.")
    var layers = false

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: ArgumentHelp("ONNX Runtime's shared library.", valueName: "path"))
    var onnxruntime: String?

    func validate() throws {
        guard atol >= 0, rtol >= 0 else { throw ValidationError("Tolerances are not negative.") }
    }

    func run() async throws {
        let (left, right) = (URL(filePath: a), URL(filePath: b))
        let isEqual: Bool
        if ["npy", "bin"].contains(left.pathExtension) {
            isEqual = try compareArrays(left, right)
        } else if Avatar.isPack(at: left), Avatar.isPack(at: right) {
            let (first, second) = (try Avatar(contentsOf: left), try Avatar(contentsOf: right))
            var all = true
            for role in ModelRole.allCases
            where role != .articulator || first.manifest.models.contains(where: { $0.role == role }) {
                let same = try await compareModels(
                    try first.model(role).url, try second.model(role).url, label: role.rawValue)
                all = all && same
            }
            isEqual = all
        } else {
            isEqual = try await compareModels(left, right, label: nil)
        }
        if !isEqual { throw ExitCode(1) }
    }

    private func compareArrays(_ left: URL, _ right: URL) throws -> Bool {
        let (x, y) = (try FeatureDump(at: left), try FeatureDump(at: right))
        guard x.values.count == y.values.count, !x.values.isEmpty else {
            throw VisemeError(
                .badData,
                "'\(left.lastPathComponent)' has the shape \(x.shape), '\(right.lastPathComponent)' has \(y.shape).",
                hint: "Only arrays with equally many elements, at least one, can be compared.")
        }
        let difference = TensorDifference(left.lastPathComponent, x.values, y.values)
        let isEqual = difference.isWithin(absolute: atol, relative: rtol)
        if json {
            try Terminal.printJSON(difference)
        } else {
            try Terminal.result(difference.line)
            if let remark = difference.remark { try Terminal.result("  \(remark)") }
            try Terminal.result(
                isEqual ? "equal within \(atol) + \(rtol)·|a|" : "NOT equal within \(atol) + \(rtol)·|a|")
        }
        return isEqual
    }

    private func compareModels(_ left: URL, _ right: URL, label: String?) async throws -> Bool {
        let comparison = try await ModelComparison(
            try OpenedModel(at: left), try OpenedModel(at: right), runner: try ONNXBackend(libraryPath: onnxruntime),
            tolerance: .init(absolute: atol, relative: rtol), everyLayer: layers)
        if json {
            try Terminal.printJSON(comparison)
            return comparison.isEqual
        }
        if let label { try Terminal.result("\(label):") }
        switch comparison.weightsAreIdentical {
        case true?: try Terminal.result("weights: identical bit by bit once folded")
        case false?:
            try Terminal.result("weights: \(comparison.weights.count) differ")
            for difference in comparison.weights.prefix(10) { try Terminal.result("  \(difference.line)") }
            if comparison.weights.count > 10 {
                try Terminal.result("  … and \(comparison.weights.count - 10) more (--json lists all)")
            }
        case nil: break
        }
        try Terminal.result("outputs:")
        for difference in comparison.outputs { try Terminal.result("  \(difference.line)") }
        if !comparison.layers.isEmpty {
            try Terminal.result("layers:")
            for difference in comparison.layers where layers || difference.name == comparison.firstDifferingLayer {
                try Terminal.result("  \(difference.line)")
            }
        }
        if let first = comparison.firstDifferingLayer { try Terminal.result("first layer that differs: \(first)") }
        for remark in comparison.remarks { try Terminal.result("note: \(remark)") }
        try Terminal.result(
            comparison.isEqual ? "equal within \(atol) + \(rtol)·|a|" : "NOT equal within \(atol) + \(rtol)·|a|")
        return comparison.isEqual
    }
}
