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
    /// - Throws: `.unsupported` naming an operation that these networks do not have.
    func graph() throws -> ModelGraph {
        var reading = Reading(file: weights, inputs: inputs)
        for operation in block.operations { try reading.read(operation) }
        var nodes = reading.nodes
        let outputs = try block.outputs.map { output in
            let source = reading.resolve(output)
            guard let shape = reading.shapes[source] else {
                throw VisemeError(.badData, "Nothing makes the output '\(output)' of '\(name)'.")
            }
            for i in nodes.indices {  // a cast at the end: the output's name is the graph's
                if nodes[i].output == source { nodes[i].output = output }
                nodes[i].inputs = nodes[i].inputs.map { $0 == source ? output : $0 }
            }
            return TensorDescription(name: output, shape: shape.map { .fixed($0) })
        }
        var graph = ModelGraph(
            inputs: inputs, outputs: outputs, nodes: nodes, weights: reading.weights, metadata: metadata)
        graph.computesInHalf = reading.hasCasts
        graph.unusedTensors = reading.unusedWeights
        _ = try graph.shapes()
        return graph
    }

    /// One pass over the operations.
    struct Reading: GraphReading {
        let file: WeightFile?
        var constants: [String: MILSpecValue] = [:]
        var alias: [String: String] = [:]
        var weights: [String: StoredTensor] = [:]
        var shapes: [String: [Int]]
        var nodes: [ModelGraph.Node] = []
        var hasCasts = false

        init(file: WeightFile?, inputs: [TensorDescription]) {
            self.file = file
            shapes = Dictionary(inputs.map { ($0.name, $0.shape.map(\.length)) }) { first, _ in first }
        }

        /// Constants in the weight file that no operation reads.
        var unusedWeights: [String] {
            constants.filter { name, value in
                if case .blobFileValue? = value.value { weights[name] == nil } else { false }
            }.keys.sorted()
        }

        func title(_ operation: MILSpecOperation) -> String {
            "The operation '\(operation.outputs.first?.name ?? "?")' (\(operation.type))"
        }

        /// The name that an argument is bound to.
        func bound(_ key: String, _ operation: MILSpecOperation) -> String? {
            guard case .name(let name)? = operation.inputs[key]?.arguments.first?.binding else { return nil }
            return resolve(name)
        }

        func data(_ key: String, _ operation: MILSpecOperation) throws -> String {
            guard let name = bound(key, operation) else {
                throw VisemeError(.badData, "\(title(operation)) has no input '\(key)'.")
            }
            return name
        }

        /// The value of an argument that must be a constant.
        func value(_ key: String, _ operation: MILSpecOperation) -> MILSpecValue? {
            if case .value(let value)? = operation.inputs[key]?.arguments.first?.binding { return value }
            return bound(key, operation).flatMap { constants[$0] }
        }

        func integers(_ key: String, _ operation: MILSpecOperation, default fallback: [Int]) throws -> [Int] {
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

        mutating func weight(_ key: String, _ operation: MILSpecOperation) throws -> String {
            let name = try data(key, operation)
            if weights[name] != nil { return name }
            guard let constant = constants[name] else {
                throw VisemeError(.unsupported, "\(title(operation)): '\(key)' is '\(name)', which is not a constant.")
            }
            let tensor = try constant.tensor(name, weights: file)
            guard tensor.type.isFloatingPoint else {
                throw VisemeError(
                    .unsupported,
                    "\(title(operation)) has weights of type \(tensor.type.rawValue), expected floating point.")
            }
            weights[name] = tensor.type == .float16 ? tensor : try tensor.converted(to: .float32)
            shapes[name] = tensor.shape
            return name
        }

        func name(_ operation: MILSpecOperation) -> String {
            operation.attributes["name"]?.text ?? operation.outputs.first?.name ?? "?"
        }

        mutating func append(_ made: Operation, _ operation: MILSpecOperation, _ inputs: [String]) throws {
            try append([(made, Array(inputs.dropFirst()))], operation, inputs.first ?? "")
        }

        mutating func append(
            _ chain: [(operation: Operation, beside: [String])], _ operation: MILSpecOperation, _ data: String
        ) throws {
            guard operation.outputs.count == 1 else {
                throw VisemeError(.badData, "\(title(operation)) has \(operation.outputs.count) outputs.")
            }
            try append(chain, name: name(operation), data, to: operation.outputs[0].name)
        }
    }
}
