import Foundation
import SwiftProtobuf
import Viseme

/// Reads the ML Program of a Core ML package.
struct MLProgramReader {
    let model: CoreMLSpecModel
    let name: String
    /// How often each operation occurs, constants included.
    let operations: [String: Int]
    let metadata: [String: String]
    /// What Apple's own reader lets pass.
    let remarks: [String]
    let block: MILSpecBlock
    let inputs: [TensorDescription]
    private let weights: WeightFile?

    init(_ package: ModelPackage, name: String) throws {
        self.name = name
        try ProtobufBudget.check(package.specification, name: name)
        do {
            model = try CoreMLSpecModel(serializedBytes: package.specification)
        } catch {
            throw VisemeError(
                .badData, "The model inside '\(name)' cannot be decoded: \(package.specification.count) bytes.",
                hint: "The package is damaged or incomplete: copy or export it again.", cause: error)
        }
        guard case .mlProgram(let program)? = model.type else {
            throw VisemeError(
                .unsupported, "'\(name)' holds no ML Program (specification version \(model.specificationVersion)).",
                hint: "Convert it again for iOS 15 or later; older neural-network models are not read.")
        }
        guard let function = program.functions["main"] ?? program.functions.values.first else {
            throw VisemeError(.badData, "The program of '\(name)' has no function.")
        }
        guard let block = function.blockSpecializations[function.opset] ?? function.blockSpecializations.values.first
        else {
            throw VisemeError(
                .badData, "The function of '\(name)' has no block for its operator set '\(function.opset)'.")
        }
        self.block = block
        weights = package.weights.isEmpty ? nil : try WeightFile(package.weights)
        operations = Dictionary(grouping: block.operations, by: \.type).mapValues(\.count)
        inputs = try function.inputs.map { input in
            guard case .tensorType(let tensor)? = input.type.type else {
                throw VisemeError(.unsupported, "The input '\(input.name)' of '\(name)' is not a tensor.")
            }
            return TensorDescription(name: input.name, shape: try tensor.shape(input.name).map { .fixed($0) })
        }
        let stated = model.description_p.metadata
        var metadata = stated.userDefined
        for (key, value) in [
            ("author", stated.author), ("license", stated.license), ("version", stated.versionString),
            ("description", stated.shortDescription),
        ] where !value.isEmpty { metadata[key] = value }
        metadata["specification"] = "\(model.specificationVersion), \(function.opset)"
        self.metadata = metadata
        remarks = MLProgramLint(model, program, function, block, weights).remarks
    }

    /// The network. Every tensor is Float32 here, whatever the program computes in; Float16 weights stay Float16.
    ///
    /// - Throws: `.unsupported` naming an operation outside the nine that these networks have.
    func graph() throws -> ModelGraph {
        var reading = Reading(weights: weights)
        for operation in block.operations { try reading.read(operation) }
        let shapes = try ModelGraph(inputs: inputs, outputs: [], nodes: reading.nodes, weights: reading.tensors)
            .shapes()
        var nodes = reading.nodes
        let outputs = try block.outputs.map { output in
            let source = reading.resolve(output)
            guard let shape = shapes[source] else {
                throw VisemeError(.badData, "Nothing makes the output '\(output)' of '\(name)'.")
            }
            for i in nodes.indices {  // a cast at the end: the output's name is the graph's
                if nodes[i].output == source { nodes[i].output = output }
                nodes[i].inputs = nodes[i].inputs.map { $0 == source ? output : $0 }
            }
            return TensorDescription(name: output, shape: shape.map { .fixed($0) })
        }
        var graph = ModelGraph(
            inputs: inputs, outputs: outputs, nodes: nodes, weights: reading.tensors, metadata: metadata)
        graph.computesInHalf = reading.hasCasts
        graph.unusedTensors = reading.unusedWeights
        _ = try graph.shapes()
        return graph
    }

    /// One pass over the operations.
    private struct Reading {
        let weights: WeightFile?
        var constants: [String: MILSpecValue] = [:]
        var alias: [String: String] = [:]
        var tensors: [String: StoredTensor] = [:]
        var nodes: [ModelGraph.Node] = []
        var hasCasts = false

        init(weights: WeightFile?) { self.weights = weights }

        /// Constants in the weight file that no operation reads.
        var unusedWeights: [String] {
            constants.filter { name, value in
                if case .blobFileValue? = value.value { tensors[name] == nil } else { false }
            }.keys.sorted()
        }

        func resolve(_ name: String) -> String {
            var (name, steps) = (name, 0)
            while let next = alias[name], steps <= alias.count { (name, steps) = (next, steps + 1) }
            return name
        }

        private func title(_ operation: MILSpecOperation) -> String {
            "The operation '\(operation.outputs.first?.name ?? "?")' (\(operation.type))"
        }

        /// The name that an argument is bound to.
        private func bound(_ key: String, _ operation: MILSpecOperation) -> String? {
            guard case .name(let name)? = operation.inputs[key]?.arguments.first?.binding else { return nil }
            return resolve(name)
        }

        private func data(_ key: String, _ operation: MILSpecOperation) throws -> String {
            guard let name = bound(key, operation) else {
                throw VisemeError(.badData, "\(title(operation)) has no input '\(key)'.")
            }
            return name
        }

        /// The value of an argument that must be a constant.
        private func value(_ key: String, _ operation: MILSpecOperation) -> MILSpecValue? {
            if case .value(let value)? = operation.inputs[key]?.arguments.first?.binding { return value }
            return bound(key, operation).flatMap { constants[$0] }
        }

        private func integers(_ key: String, _ operation: MILSpecOperation, default fallback: [Int]) throws -> [Int] {
            guard operation.inputs[key] != nil else { return fallback }
            guard let numbers = value(key, operation)?.numbers else {
                throw VisemeError(.unsupported, "\(title(operation)): '\(key)' is not a constant.")
            }
            return try numbers.map { number in
                guard let whole = Int(exactly: number) else {
                    throw VisemeError(.badData, "\(title(operation)): '\(key)' is \(number).")
                }
                return whole
            }
        }

        private mutating func weight(_ key: String, _ operation: MILSpecOperation) throws -> String {
            let name = try data(key, operation)
            if tensors[name] != nil { return name }
            guard let constant = constants[name] else {
                throw VisemeError(.unsupported, "\(title(operation)): '\(key)' is '\(name)', which is not a constant.")
            }
            let tensor = try constant.tensor(name, weights: weights)
            guard tensor.type.isFloatingPoint else {
                throw VisemeError(
                    .unsupported,
                    "\(title(operation)) has weights of type \(tensor.type.rawValue), expected floating point.")
            }
            tensors[name] = tensor.type == .float16 ? tensor : try tensor.converted(to: .float32)
            return name
        }

        private mutating func append(_ made: Operation, _ operation: MILSpecOperation, _ inputs: [String]) throws {
            guard operation.outputs.count == 1 else {
                throw VisemeError(.badData, "\(title(operation)) has \(operation.outputs.count) outputs.")
            }
            let output = operation.outputs[0].name
            nodes.append(
                .init(made, name: operation.attributes["name"]?.text ?? output, inputs: inputs, output: output))
        }

        mutating func read(_ operation: MILSpecOperation) throws {
            guard let output = operation.outputs.first?.name else {
                throw VisemeError(.badData, "\(title(operation)) has no output.")
            }
            switch operation.type {
            case "const":
                guard let value = operation.attributes["val"] else {
                    throw VisemeError(.badData, "\(title(operation)) has no value.")
                }
                constants[output] = value
            case "cast":
                alias[output] = try data("x", operation)
                hasCasts = true
            case "identity": alias[output] = try data("x", operation)
            case "relu": try append(.relu, operation, [data("x", operation)])
            case "sigmoid": try append(.sigmoid, operation, [data("x", operation)])
            case "add": try append(.add, operation, [data("x", operation), data("y", operation)])
            case "conv": try convolution(operation)
            case "batch_norm":
                let parts = try ["gamma", "beta", "mean", "variance"].map { try weight($0, operation) }
                let epsilon = value("epsilon", operation)?.numbers?.first ?? 1e-5
                try append(.batchNormalisation(epsilon: Float(epsilon)), operation, [data("x", operation)] + parts)
            case "concat":
                guard try [[1], [-3]].contains(integers("axis", operation, default: [])),
                    try integers("interleave", operation, default: [0]) == [0], let values = operation.inputs["values"]
                else { throw VisemeError(.unsupported, "\(title(operation)) does not join along the channels.") }
                let names = try values.arguments.map { argument in
                    guard case .name(let name)? = argument.binding else {
                        throw VisemeError(.badData, "\(title(operation)) joins a constant.")
                    }
                    return resolve(name)
                }
                try append(.concatenate, operation, names)
            case "upsample_bilinear":
                guard value("scale_factor_height", operation)?.numbers == [2],
                    value("scale_factor_width", operation)?.numbers == [2],
                    value("align_corners", operation)?.numbers == [1]
                else {
                    throw VisemeError(.unsupported, "\(title(operation)) is not twice the size with aligned corners.")
                }
                try append(.upsample, operation, [data("x", operation)])
            case "squeeze", "reshape", "expand_dims":
                guard case .tensorType(let type)? = operation.outputs[0].type.type else {
                    throw VisemeError(.badData, "\(title(operation)) has no type.")
                }
                try append(.reshape(Array(try type.shape(output).dropFirst())), operation, [data("x", operation)])
            default:
                throw VisemeError(
                    .unsupported, "\(title(operation)) is not an operation of these networks.",
                    hint:
                        "Viseme reads the audio encoder and the generator of the SyncTalk_2D family. viseme inspect lists what the package has."
                )
            }
        }

        private mutating func convolution(_ operation: MILSpecOperation) throws {
            let type = value("pad_type", operation)?.text ?? "valid"
            guard ["valid", "custom"].contains(type),
                try integers("dilations", operation, default: [1, 1]).allSatisfy({ $0 == 1 })
            else {
                throw VisemeError(
                    .unsupported, "\(title(operation)) is dilated or pads as '\(type)', which these networks never do.")
            }
            let pad = type == "valid" ? [0, 0, 0, 0] : try integers("pad", operation, default: [0, 0, 0, 0])
            guard pad.count == 4 else {
                throw VisemeError(.badData, "\(title(operation)) has \(pad.count) paddings, expected 4.")
            }
            var inputs = try [data("x", operation), weight("weight", operation)]
            if operation.inputs["bias"] != nil { inputs.append(try weight("bias", operation)) }
            // Core ML pads top, bottom, left, right; the graph top, left, bottom, right.
            let made = Convolution(
                strides: try integers("strides", operation, default: [1, 1]),
                padding: [pad[0], pad[2], pad[1], pad[3]],
                groups: try integers("groups", operation, default: [1]).first ?? 1)
            try append(.convolution(made), operation, inputs)
        }
    }
}
