public import Foundation
import SwiftProtobuf
import Viseme

/// Reads ONNX files.
public enum ONNXReader {
    static func model(_ data: Data, name: String) throws -> Onnx_ModelProto {
        try ProtobufBudget.check(data, name: name)
        do {
            let model = try Onnx_ModelProto(serializedBytes: data)
            guard model.hasGraph else { throw VisemeError(.badData, "'\(name)' has no graph.") }
            return model
        } catch let error as VisemeError {
            throw error
        } catch {
            throw VisemeError(
                .badData, "'\(name)' is not an ONNX model: its \(data.count) bytes cannot be decoded.",
                hint: "The file is damaged or incomplete: export or fetch it again.", cause: error)
        }
    }

    /// The bytes of an ONNX file with everything inside that it keeps in files beside it; unchanged where it keeps nothing.
    ///
    /// - Throws: `.noInput` when the file is absent; `.badData` for damaged files, and for weights outside of its folder.
    public static func selfContained(at url: URL) throws -> Data {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(.noInput, "The model '\(url.path)' cannot be read.", cause: error)
        }
        let name = url.lastPathComponent
        var model = try model(data, name: name)
        guard ExternalData.isIn(model) else { return data }
        _ = try ExternalData.embed(in: &model, from: url.deletingLastPathComponent(), name: name)
        return try model.serializedData()
    }

    /// Reads a network of this family.
    ///
    /// - Throws: `.badData` for damaged files, `.unsupported` naming an operation that these networks do not have.
    public static func graph(_ data: Data, name: String) throws -> ModelGraph {
        try graph(model(data, name: name))
    }

    static func graph(_ model: Onnx_ModelProto) throws -> ModelGraph {
        var reading = try Reading(model)
        let graph = try reading.graph()
        _ = try graph.shapes()
        return graph
    }

    /// The inputs and outputs, none where their shapes are not stated.
    static func interface(_ model: Onnx_ModelProto) -> ([TensorDescription], [TensorDescription]) {
        let stored = Set(model.graph.initializer.map(\.name))
        // Whoever asks is told by the absence.
        let inputs = try? model.graph.input.filter { !stored.contains($0.name) }.map { try $0.tensor() }
        return (inputs ?? [], (try? model.graph.output.map { try $0.tensor() }) ?? [])
    }

    static func metadata(_ model: Onnx_ModelProto) -> [String: String] {
        var metadata = Dictionary(
            model.metadataProps.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        if !model.producerName.isEmpty {
            metadata["producer"] = [model.producerName, model.producerVersion].filter { !$0.isEmpty }.joined(
                separator: " ")
        }
        return metadata
    }

    /// One pass over the nodes. Shapes are followed for a batch of one, so that what a graph computes about its own shapes is a constant.
    struct Reading: GraphReading {
        let model: Onnx_ModelProto
        var graphInputs: [TensorDescription] = []
        var shapes: [String: [Int]] = [:]
        var numbers: [String: ONNXNumbers] = [:]
        var initializers: [String: Onnx_TensorProto] = [:]
        var weights: [String: StoredTensor] = [:]
        var alias: [String: String] = [:]
        var nodes: [ModelGraph.Node] = []
        var weightSteps: [String: [Float]] = [:]
        /// What `QuantizeLinear` made: it counts together with the `DequantizeLinear` after it.
        var points: [String: (source: String, grid: Grid)] = [:]
        /// Stored tensors that belong to a grid.
        var gridTensors: Set<String> = []

        init(_ model: Onnx_ModelProto) throws {
            self.model = model
            for tensor in model.graph.initializer {
                guard initializers.updateValue(tensor, forKey: tensor.name) == nil else {
                    throw VisemeError(.badData, "Two weights are called '\(tensor.name)'.")
                }
            }
            for input in model.graph.input where initializers[input.name] == nil {
                let description = try input.tensor()
                graphInputs.append(description)
                shapes[input.name] = description.shape.map { axis in
                    if case .fixed(let length) = axis { length } else { 1 }
                }
            }
        }

        mutating func graph() throws -> ModelGraph {
            let opset = model.opsetImport.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }?.version ?? 0
            guard (7...99).contains(opset) else {
                throw VisemeError(.unsupported, "The model uses ONNX operator set \(opset), expected 7 or later.")
            }
            for node in model.graph.node { try read(node) }
            var outputs: [TensorDescription] = []
            for output in model.graph.output {
                let source = resolve(output.name)
                guard let shape = shapes[source], !shape.isEmpty else {
                    throw VisemeError(.badData, "Nothing makes the output '\(output.name)'.")
                }
                // Inside the graph a tensor has one name: the output's.
                for i in nodes.indices {
                    if nodes[i].output == source { nodes[i].output = output.name }
                    nodes[i].inputs = nodes[i].inputs.map { $0 == source ? output.name : $0 }
                }
                outputs.append(
                    TensorDescription(name: output.name, shape: [.batch] + shape.dropFirst().map { .fixed($0) }))
            }
            let isDynamic = graphInputs.allSatisfy { $0.shape.first == .batch }
            if !isDynamic { for i in outputs.indices { outputs[i].shape[0] = .fixed(1) } }
            var graph = ModelGraph(
                inputs: graphInputs, outputs: outputs, nodes: nodes, weights: weights,
                metadata: ONNXReader.metadata(model))
            graph.weightSteps = weightSteps
            graph.unusedTensors = initializers.keys.filter {
                weights[$0] == nil && numbers[$0] == nil && !gridTensors.contains($0)
            }.sorted()
            return graph
        }

        mutating func number(_ name: String) throws -> ONNXNumbers? {
            if let known = numbers[name] { return known }
            guard let tensor = initializers[name], let value = try ONNXNumbers(tensor) else { return nil }
            numbers[name] = value
            return value
        }

        /// A weight, taken over into the graph; float16 stays float16.
        mutating func weight(_ name: String, of node: Onnx_NodeProto) throws -> String {
            let name = resolve(name)
            if weights[name] != nil { return name }
            guard let tensor = initializers[name] else {
                throw VisemeError(
                    .unsupported, "\(title(node)) takes its weights from '\(name)', which is not stored in the file.")
            }
            var stored = try StoredTensor(tensor)
            guard stored.type.isFloatingPoint else {
                throw VisemeError(
                    .unsupported, "\(title(node)) has weights of type \(stored.type.rawValue), expected floating point."
                )
            }
            if stored.type != .float16 { stored = try stored.converted(to: .float32) }
            weights[name] = stored
            shapes[name] = stored.shape
            return name
        }

        func title(_ node: Onnx_NodeProto) -> String {
            "The operation '\(node.name.isEmpty ? node.output.first ?? "?" : node.name)' (\(node.opType))"
        }

        func name(_ node: Onnx_NodeProto) -> String { node.name.isEmpty ? node.output[0] : node.name }

        mutating func append(_ operation: Operation, _ node: Onnx_NodeProto, _ inputs: [String]) throws {
            try append(operation, name: name(node), inputs, to: node.output[0])
        }

        private mutating func read(_ node: Onnx_NodeProto) throws {
            guard node.output.count >= 1, node.domain.isEmpty || node.domain == "ai.onnx" else {
                throw VisemeError(.unsupported, "\(title(node)) of '\(node.domain)' is not a standard ONNX operation.")
            }
            let data = node.input.first.map { resolve($0) } ?? ""
            let output = node.output[0]
            if node.opType == "Constant" {
                try constant(node)
            } else if node.opType == "QuantizeLinear" {
                try quantise(node, data)
            } else if node.opType == "DequantizeLinear" {
                try dequantise(node, data)
            } else if node.opType == "Shape", let shape = shapes[data] {
                numbers[output] = ONNXNumbers(shape)
            } else if let known = Operation.named.first(where: { $0.onnx == node.opType })?.operation, known.isPairwise,
                node.input.contains(where: { isMade(resolve($0)) })
            {
                try append(known, node, operands(node, known))
            } else if shapes[data] == nil {
                try compute(node, data)
            } else {
                try readLayer(node, data)
            }
        }

        /// Arithmetic on shapes, or a weight that is stored in half precision and cast.
        private mutating func compute(_ node: Onnx_NodeProto, _ data: String) throws {
            let isCopy = ["Cast", "Identity"].contains(node.opType) && initializers[data] != nil
            if isCopy { alias[node.output[0]] = data }
            let inputs = try node.input.map { try number(resolve($0)) }
            if isCopy, inputs.contains(where: { $0 == nil }) { return }  // large: a weight
            guard let result = try ONNXNumbers.evaluate(node, inputs) else { throw unknown(node) }
            numbers[node.output[0]] = result
        }

        func unknown(_ node: Onnx_NodeProto) -> VisemeError {
            VisemeError(
                .unsupported, "\(title(node)) is not an operation of these networks.",
                hint: "Viseme reads the networks of its families. viseme inspect lists what the file has.")
        }

        private mutating func constant(_ node: Onnx_NodeProto) throws {
            let output = node.output[0]
            if let value = node.attribute("value") {
                var tensor = value.t
                tensor.name = output
                initializers[output] = tensor
            } else if let value = node.attribute("value_ints") {
                numbers[output] = ONNXNumbers(value.ints.map { Int($0) })
            } else if let value = node.attribute("value_int") {
                numbers[output] = ONNXNumbers(shape: [], values: [Double(value.i)], isInteger: true)
            } else if let value = node.attribute("value_float") {
                numbers[output] = ONNXNumbers(shape: [], values: [Double(value.f)], isInteger: false)
            } else if let value = node.attribute("value_floats") {
                numbers[output] = ONNXNumbers(
                    shape: [value.floats.count], values: value.floats.map(Double.init), isInteger: false)
            } else {
                throw VisemeError(.unsupported, "\(title(node)) has no value that Viseme reads.")
            }
        }
    }
}
