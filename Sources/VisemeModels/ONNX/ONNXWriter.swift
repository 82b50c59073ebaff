public import Foundation
import SwiftProtobuf
import Viseme

/// Writes ONNX files: operator set 17, the batch left open, one weight a tensor.
public enum ONNXWriter {
    static let operatorSet: Int64 = 17

    /// The file's bytes.
    ///
    /// Float16 weights are stored as such and cast to Float32 when the model is loaded: the arithmetic stays Float32.
    ///
    /// - Parameters:
    ///   - exposing: Tensors between the operations that become outputs as well, for comparing layer by layer.
    ///   - halves: Inputs that come as Float16 instead, and tensors that become outputs as Float16; `half(_:)` names them.
    public static func data(_ graph: ModelGraph, exposing: Set<String> = [], halves: Set<String> = []) throws -> Data {
        var model = Onnx_ModelProto()
        model.irVersion = 8
        model.producerName = "viseme"
        model.opsetImport = [.with { $0.version = operatorSet }]
        model.metadataProps = graph.metadata.sorted { $0.key < $1.key }.map { entry in
            .with { ($0.key, $0.value) = (entry.key, entry.value) }
        }
        model.graph.name = graph.outputs.first?.name ?? "graph"
        model.graph.input = graph.inputs.map { valueInfo($0, isHalf: halves.contains($0.name)) }
        model.graph.output = graph.outputs.map { valueInfo($0) }
        for input in graph.inputs where halves.contains(input.name) {
            model.graph.node.append(cast(half(input.name), to: input.name, type: 1))
        }
        var integers: [[Int64]: String] = [:]
        for node in graph.nodes {
            for name in node.inputs {
                guard let weight = graph.weights[name],
                    !model.graph.initializer.contains(where: { $0.name == stored(weight) })
                else { continue }
                model.graph.initializer.append(
                    .with {
                        $0.name = stored(weight)
                        $0.dims = weight.shape.map(Int64.init)
                        $0.dataType = weight.type == .float16 ? 10 : 1
                        $0.rawData = weight.bytes
                    })
                if weight.type == .float16 { model.graph.node.append(cast(stored(weight), to: name, type: 1)) }
            }
            model.graph.node.append(write(node, &model.graph, &integers))
        }
        if !exposing.isEmpty || !halves.isEmpty {
            let shapes = try graph.shapes()
            for node in graph.nodes where halves.contains(node.output) {
                let axes = (shapes[node.output] ?? []).map { TensorDescription.Dimension.fixed($0) }
                model.graph.node.append(cast(node.output, to: half(node.output), type: 10))
                model.graph.output.append(
                    valueInfo(TensorDescription(name: node.output, shape: axes), isHalf: true))
            }
            let declared = Set(graph.outputs.map(\.name))
            for node in graph.nodes where exposing.contains(node.output) && !declared.contains(node.output) {
                let axes = (shapes[node.output] ?? []).dropFirst().map { TensorDescription.Dimension.fixed($0) }
                model.graph.output.append(valueInfo(TensorDescription(name: node.output, shape: [.batch] + axes)))
            }
        }
        return try model.serializedData()
    }

    /// The name of an input or output that passes as Float16.
    static func half(_ name: String) -> String { name + ".half" }

    private static func cast(_ source: String, to target: String, type: Int) -> Onnx_NodeProto {
        .with {
            $0.name = target + ".cast"
            $0.opType = "Cast"
            $0.input = [source]
            $0.output = [target]
            $0.attribute = [integer("to", type)]
        }
    }

    private static func stored(_ weight: StoredTensor) -> String {
        weight.type == .float16 ? weight.name + ".fp16" : weight.name
    }

    private static func write(
        _ node: ModelGraph.Node, _ graph: inout Onnx_GraphProto, _ integers: inout [[Int64]: String]
    ) -> Onnx_NodeProto {
        var proto = Onnx_NodeProto()
        proto.name = node.name
        proto.input = node.inputs
        proto.output = [node.output]
        switch node.operation {
        case .convolution(let convolution):
            proto.opType = "Conv"
            proto.attribute = [
                list("strides", convolution.strides), list("pads", convolution.padding), list("dilations", [1, 1]),
                integer("group", convolution.groups),
            ]
        case .batchNormalisation(let epsilon):
            proto.opType = "BatchNormalization"
            proto.attribute = [
                .with {
                    $0.name = "epsilon"
                    $0.type = .float
                    $0.f = epsilon
                }
            ]
        case .relu: proto.opType = "Relu"
        case .sigmoid: proto.opType = "Sigmoid"
        case .add: proto.opType = "Add"
        case .concatenate:
            proto.opType = "Concat"
            proto.attribute = [integer("axis", 1)]
        case .upsample:
            proto.opType = "Resize"
            proto.attribute = [text("mode", "linear"), text("coordinate_transformation_mode", "align_corners")]
            if !graph.initializer.contains(where: { $0.name == "scales" }) {
                graph.initializer.append(
                    .with {
                        $0.name = "scales"
                        $0.dims = [4]
                        $0.dataType = 1
                        $0.floatData = [1, 1, 2, 2]
                    })
            }
            proto.input = [node.inputs[0], "", "scales"]
        case .reshape(let axes):
            proto.opType = "Reshape"
            let shape = [0] + axes.map(Int64.init)  // 0: the batch as it is
            let name = integers[shape] ?? "shape.\(integers.count)"
            if integers.updateValue(name, forKey: shape) == nil {
                graph.initializer.append(
                    .with {
                        $0.name = name
                        $0.dims = [Int64(shape.count)]
                        $0.dataType = 7
                        $0.int64Data = shape
                    })
            }
            proto.input = [node.inputs[0], name]
        }
        return proto
    }

    private static func valueInfo(_ tensor: TensorDescription, isHalf: Bool = false) -> Onnx_ValueInfoProto {
        .with {
            $0.name = isHalf ? half(tensor.name) : tensor.name
            $0.type.tensorType.elemType = isHalf ? 10 : 1
            $0.type.tensorType.shape.dim = tensor.shape.map { axis in
                .with {
                    switch axis {
                    case .fixed(let length): $0.dimValue = Int64(length)
                    case .batch: $0.dimParam = "B"
                    }
                }
            }
        }
    }

    private static func integer(_ name: String, _ value: Int) -> Onnx_AttributeProto {
        .with { ($0.name, $0.type, $0.i) = (name, .int, Int64(value)) }
    }

    private static func list(_ name: String, _ values: [Int]) -> Onnx_AttributeProto {
        .with { ($0.name, $0.type, $0.ints) = (name, .ints, values.map(Int64.init)) }
    }

    private static func text(_ name: String, _ value: String) -> Onnx_AttributeProto {
        .with { ($0.name, $0.type, $0.s) = (name, .string, Data(value.utf8)) }
    }
}
