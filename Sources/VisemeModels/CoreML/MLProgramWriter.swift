import Foundation
import SwiftProtobuf
import Viseme

/// Writes Core ML packages: ML Programs of specification 6 (iOS 15), Float32 inputs and outputs, one image or window at a time.
///
/// Every parameter of an operation is a named constant; tensors of ten elements and more lie in the weight file.
struct MLProgramWriter {
    static let specificationVersion: Int32 = 6
    static let operatorSet = "CoreML5"
    private static let weightFile = "@model_path/weights/weight.bin"
    private static let inlineLimit = 10

    private let graph: ModelGraph
    private let shapes: [String: [Int]]
    private let type: MILSpecDataType
    private var operations: [MILSpecOperation] = []
    private var weights = WeightFileWriter()
    private var names: [String: String] = [:]  // tensor → identifier
    private var taken: Set<String> = []

    static func package(_ graph: ModelGraph, family: ModelFamily) throws -> ModelPackage {
        var writer = try MLProgramWriter(graph)
        return try writer.package(family)
    }

    private init(_ graph: ModelGraph) throws {
        self.graph = graph
        shapes = try graph.shapes()
        type = graph.computesInHalf ? .float16 : .float32
    }

    private mutating func package(_ family: ModelFamily) throws -> ModelPackage {
        for tensor in graph.inputs + graph.outputs {  // these names are the interface: they stay as they are
            guard MLProgramLint.isIdentifier(tensor.name), taken.insert(tensor.name).inserted else {
                throw VisemeError(.unsupported, "'\(tensor.name)' cannot be the name of a Core ML input or output.")
            }
        }
        for input in graph.inputs {
            names[input.name] =
                graph.computesInHalf
                ? cast(input.name, to: .float16, as: identifier(input.name + "_to_fp16"), shapes[input.name] ?? [])
                : input.name
        }
        for node in graph.nodes { try write(node) }
        for output in graph.outputs where graph.computesInHalf {
            _ = cast(names[output.name] ?? output.name, to: .float32, as: output.name, shapes[output.name] ?? [])
        }

        var function = MILSpecFunction()
        function.inputs = graph.inputs.map { input in
            .with {
                $0.name = input.name
                $0.type = Self.tensor(shapes[input.name] ?? [], .float32)
            }
        }
        function.opset = Self.operatorSet
        function.blockSpecializations = [
            Self.operatorSet: .with {
                $0.outputs = graph.outputs.map(\.name)
                $0.operations = operations
            }
        ]
        var model = CoreMLSpecModel()
        model.specificationVersion = Self.specificationVersion
        model.mlProgram = .with {
            $0.version = 1
            $0.functions = ["main": function]
        }
        model.description_p.input = graph.inputs.map { feature($0.name) }
        model.description_p.output = graph.outputs.map { feature($0.name) }
        model.description_p.metadata.shortDescription = family.text
        model.description_p.metadata.author = graph.metadata["author"] ?? ""
        model.description_p.metadata.license = graph.metadata["license"] ?? graph.metadata["licence"] ?? ""
        model.description_p.metadata.userDefined = graph.metadata.filter { $0.key.hasPrefix("viseme.") }
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        return ModelPackage(specification: try model.serializedBytes(options: options), weights: weights.data)
    }

    private func feature(_ name: String) -> CoreMLSpecFeatureDescription {
        .with {
            $0.name = name
            $0.type.multiArrayType.shape = (shapes[name] ?? []).map(Int64.init)
            $0.type.multiArrayType.dataType = .float32
        }
    }

    /// A legal identifier that nothing else has.
    private mutating func identifier(_ wanted: String) -> String {
        var name = String(wanted.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        if !MLProgramLint.isIdentifier(name) { name = "_" + name }
        var (unique, number) = (name, 0)
        while !taken.insert(unique).inserted {
            number += 1
            unique = "\(name)_\(number)"
        }
        return unique
    }

    private func data(_ tensor: String) throws -> String {
        guard let name = names[tensor] else { throw VisemeError(.internal, "Nothing makes the tensor '\(tensor)'.") }
        return name
    }

    /// A tensor that was made, or a stored one that stands in its place.
    private mutating func operand(_ tensor: String) throws -> String {
        graph.weights[tensor] == nil ? try data(tensor) : try weight(tensor)
    }

    private mutating func write(_ node: ModelGraph.Node) throws {
        let isOutput = graph.outputs.contains { $0.name == node.output }
        let output = isOutput && !graph.computesInHalf ? node.output : identifier(node.name)
        var inputs: [String: [String]] = ["x": [try operand(node.inputs[0])]]
        let kind: String
        switch node.operation {
        case .convolution(let convolution):
            kind = "conv"
            inputs["weight"] = [try weight(node.inputs[1])]
            if node.inputs.count > 2 { inputs["bias"] = [try weight(node.inputs[2])] }
            let (pad, axes) = (convolution.padding, convolution.strides.count)
            let inTurn = (0..<axes).flatMap { [pad[$0], pad[axes + $0]] }  // top, bottom, left, right
            inputs["pad_type"] = [constant(output + "_pad_type", text: pad.contains { $0 != 0 } ? "custom" : "valid")]
            inputs["pad"] = [constant(output + "_pad", list: inTurn)]
            inputs["strides"] = [constant(output + "_strides", list: convolution.strides)]
            inputs["dilations"] = [constant(output + "_dilations", list: convolution.dilations)]
            inputs["groups"] = [constant(output + "_groups", convolution.groups)]
        case .linear:
            kind = "linear"
            inputs["weight"] = [try weight(node.inputs[1])]
            if node.inputs.count > 2 { inputs["bias"] = [try weight(node.inputs[2])] }
        case .batchNormalisation:
            throw VisemeError(.internal, "A batch normalisation reached the Core ML writer unfolded: '\(node.name)'.")
        case .relu, .sigmoid: kind = node.operation.label
        case .add, .subtract, .multiply, .divide, .minimum, .maximum:
            kind = node.operation.label
            inputs = ["x": [try operand(node.inputs[0])], "y": [try operand(node.inputs[1])]]
        case .softmax:
            kind = "softmax"
            inputs["axis"] = [constant(output + "_axis", 1)]
        case .concatenate:
            kind = "concat"
            inputs = ["values": try node.inputs.map(data)]
            inputs["axis"] = [constant(output + "_axis", 1)]
            inputs["interleave"] = [constant(output + "_interleave", flag: false)]
        case .upsample:
            kind = "upsample_bilinear"
            for axis in ["height", "width"] {
                inputs["scale_factor_\(axis)"] = [constant(output + "_scale_\(axis)", real: 2)]
            }
            inputs["align_corners"] = [constant(output + "_align_corners", flag: true)]
        case .pixelShuffle(let factor):
            kind = "pixel_shuffle"
            inputs["upscale_factor"] = [constant(output + "_upscale_factor", factor)]
        case .reshape(let axes):
            let (old, new) = (shapes[node.inputs[0]] ?? [], [1] + axes)
            if new.count < old.count, Array(old[..<new.count]) == new {  // (B, 512, 1, 1) → (B, 512)
                kind = "squeeze"
                inputs["axes"] = [constant(output + "_axes", list: Array(new.count..<old.count))]
            } else {
                kind = "reshape"
                inputs["shape"] = [constant(output + "_shape", list: new)]
            }
        case .transpose(let axes):
            kind = "transpose"
            inputs["perm"] = [constant(output + "_perm", list: axes)]
        case .slice(let axis, let range):
            kind = "slice_by_index"
            var (begin, end) = (shapes[node.inputs[0]]?.map { _ in 0 } ?? [], shapes[node.inputs[0]] ?? [])
            (begin[axis], end[axis]) = (range.lowerBound, range.upperBound)
            inputs["begin"] = [constant(output + "_begin", list: begin)]
            inputs["end"] = [constant(output + "_end", list: end)]
        case .quantise:
            throw VisemeError(
                .unsupported, "Core ML packages are written in fp32 and fp16, this network is in int8.",
                hint: "Convert the network that it was made from.")
        }
        append(kind, output, inputs, shapes[node.output] ?? [], type)
        names[node.output] = output
    }

    private mutating func append(
        _ kind: String, _ output: String, _ inputs: [String: [String]], _ shape: [Int], _ type: MILSpecDataType
    ) {
        operations.append(
            .with {
                $0.type = kind
                $0.inputs = inputs.mapValues { names in
                    .with { $0.arguments = names.map { name in .with { $0.name = name } } }
                }
                $0.outputs = [
                    .with {
                        $0.name = output
                        $0.type = Self.tensor(shape, type)
                    }
                ]
                $0.attributes = ["name": Self.text(output)]
            })
    }

    private mutating func cast(_ x: String, to type: MILSpecDataType, as output: String, _ shape: [Int]) -> String {
        let dtype = constant(output + "_dtype", text: type == .float16 ? "fp16" : "fp32")
        append("cast", output, ["x": [x], "dtype": [dtype]], shape, type)
        return output
    }

    // Constants

    private mutating func constant(_ name: String, _ value: MILSpecValue) -> String {
        let name = identifier(name)
        operations.append(
            .with {
                $0.type = "const"
                $0.outputs = [
                    .with {
                        $0.name = name
                        $0.type = value.type
                    }
                ]
                $0.attributes = ["name": Self.text(name), "val": value]
            })
        return name
    }

    private mutating func constant(_ name: String, _ integer: Int) -> String { constant(name, [integer], shape: []) }

    private mutating func constant(_ name: String, list: [Int]) -> String { constant(name, list, shape: [list.count]) }

    private mutating func constant(_ name: String, _ integers: [Int], shape: [Int]) -> String {
        constant(
            name,
            .with {
                $0.type = Self.tensor(shape, .int32)
                $0.immediateValue.tensor.ints.values = integers.map(Int32.init)
            })
    }

    private mutating func constant(_ name: String, text: String) -> String { constant(name, Self.text(text)) }

    private mutating func constant(_ name: String, flag: Bool) -> String {
        constant(
            name,
            .with {
                $0.type = Self.tensor([], .bool)
                $0.immediateValue.tensor.bools.values = [flag]
            })
    }

    private mutating func constant(_ name: String, real: Float) -> String {
        constant(
            name,
            .with {
                $0.type = Self.tensor([], .float32)
                $0.immediateValue.tensor.floats.values = [real]
            })
    }

    private mutating func weight(_ name: String) throws -> String {
        guard let tensor = graph.weights[name] else { throw VisemeError(.internal, "The weight '\(name)' is missing.") }
        if let known = names[name] { return known }
        var value = MILSpecValue.with {
            $0.type = Self.tensor(tensor.shape, tensor.type == .float16 ? .float16 : .float32)
        }
        if tensor.count >= Self.inlineLimit {
            value.blobFileValue.fileName = Self.weightFile
            value.blobFileValue.offset = weights.append(tensor)
        } else if tensor.type == .float16 {
            value.immediateValue.tensor.bytes.values = tensor.bytes
        } else {
            value.immediateValue.tensor.floats.values = tensor.floats()
        }
        let written = constant(name, value)
        names[name] = written
        return written
    }

    private static func text(_ text: String) -> MILSpecValue {
        .with {
            $0.type = tensor([], .string)
            $0.immediateValue.tensor.strings.values = [text]
        }
    }

    private static func tensor(_ shape: [Int], _ type: MILSpecDataType) -> MILSpecValueType {
        .with {
            $0.tensorType.dataType = type
            $0.tensorType.rank = Int64(shape.count)
            $0.tensorType.dimensions = shape.map { length in .with { $0.constant.size = UInt64(length) } }
        }
    }
}
