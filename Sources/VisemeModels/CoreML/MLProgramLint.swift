import Foundation

/// Faults of an ML Program that Apple's own reader on Linux lets pass.
struct MLProgramLint {
    var remarks: [String] = []

    /// Specification version and operator set that belong together.
    static let operatorSets: [Int32: String] = [6: "CoreML5", 7: "CoreML6", 8: "CoreML7", 9: "CoreML8", 10: "CoreML9"]

    init(
        _ model: CoreMLSpecModel, _ program: MILSpecProgram, _ function: MILSpecFunction, _ block: MILSpecBlock,
        _ weights: WeightFile?
    ) {
        if program.functions["main"] == nil {
            remarks.append(
                "the function is called '\(program.functions.keys.sorted().joined(separator: ", "))', not 'main'")
        }
        if let expected = Self.operatorSets[model.specificationVersion], expected != function.opset {
            remarks.append(
                "specification version \(model.specificationVersion) goes with \(expected), the function says '\(function.opset)'"
            )
        }
        let described = model.description_p
        if Set(described.input.map(\.name)) != Set(function.inputs.map(\.name)) {
            remarks.append("the description's inputs are not the function's")
        }
        if Set(described.output.map(\.name)) != Set(block.outputs) {
            remarks.append("the description's outputs are not the block's")
        }
        names(function, block)
        constants(block, weights)
    }

    private mutating func names(_ function: MILSpecFunction, _ block: MILSpecBlock) {
        var seen = Set(function.inputs.map(\.name))
        var used = Set(block.outputs)
        for operation in block.operations {
            for argument in operation.inputs.values {
                for binding in argument.arguments { if case .name(let name)? = binding.binding { used.insert(name) } }
            }
        }
        for output in block.operations.flatMap(\.outputs) {
            if output.name.isEmpty { remarks.append("a tensor has no name") }
            if !seen.insert(output.name).inserted { remarks.append("two tensors are called '\(output.name)'") }
            if !Self.isIdentifier(output.name) { remarks.append("'\(output.name)' is not a legal identifier") }
            if !used.contains(output.name) { remarks.append("nothing uses '\(output.name)'") }
        }
    }

    private mutating func constants(_ block: MILSpecBlock, _ weights: WeightFile?) {
        var offsets: Set<UInt64> = []
        var end = 64
        for operation in block.operations where operation.type == "const" {
            guard let value = operation.attributes["val"], let output = operation.outputs.first else { continue }
            if value.type != output.type {
                remarks.append("the constant '\(output.name)' is declared as another type than its value")
            }
            guard case .blobFileValue(let blob)? = value.value else { continue }
            if blob.offset % 64 != 0 {
                remarks.append("'\(output.name)' lies at \(blob.offset), which is not a multiple of 64")
            }
            guard offsets.insert(blob.offset).inserted, let weights,
                let tensor = try? value.tensor(output.name, weights: weights)
            else {
                continue  // read again, with its error, when the network is
            }
            end = max(end, Int(blob.offset) + 64 + tensor.bytes.count)
            if tensor.type.isFloatingPoint, let bad = tensor.floats().firstIndex(where: { !$0.isFinite }) {
                remarks.append("the weight '\(output.name)' is not a number at element \(bad)")
            }
        }
        guard let weights else { return }
        if weights.count != offsets.count {
            remarks.append("weight.bin says \(weights.count) entries, the program uses \(offsets.count)")
        }
        if weights.data.count > end {
            remarks.append("weight.bin goes on for \(weights.data.count - end) bytes after its last entry")
        }
    }

    /// MIL's identifiers: a letter or underscore, then letters, digits, underscores and @; no keyword or type name.
    static func isIdentifier(_ name: String) -> Bool {
        let reserved: Set<String> = [
            "any", "bool", "program", "func", "tensor", "list", "dict", "tuple", "true", "false", "string", "bf16",
            "fp16", "fp32", "fp64",
            "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "unknown", "state",
        ]
        let body = name.utf8
        guard let first = body.first, !reserved.contains(name) else { return false }
        func isLetter(_ c: UInt8) -> Bool { (65...90).contains(c) || (97...122).contains(c) || c == 95 }
        return isLetter(first) && body.dropFirst().allSatisfy { isLetter($0) || (48...57).contains($0) || $0 == 64 }
    }
}
