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
    ///   - passing: Inputs that come in fewer bytes instead, and tensors that become outputs so; `ModelGraph.slot` names them.
    public static func data(_ graph: ModelGraph, exposing: Set<String> = [], passing: Set<String> = []) throws -> Data {
        var model = Onnx_ModelProto()
        model.irVersion = 8
        model.producerName = "viseme"
        model.opsetImport = [.with { $0.version = operatorSet }]
        model.metadataProps = graph.metadata.sorted { $0.key < $1.key }.map { entry in
            .with { ($0.key, $0.value) = (entry.key, entry.value) }
        }
        model.graph.name = graph.outputs.first?.name ?? "graph"
        let grids = graph.grids
        model.graph.input = graph.inputs.map { input in
            valueInfo(input, passing.contains(input.name) ? graph.passed(input.name) : nil)
        }
        model.graph.output = graph.outputs.map { valueInfo($0) }
        for input in graph.inputs where passing.contains(input.name) {
            let slot = graph.passed(input.name)
            if let grid = graph.inputGrids[input.name] {
                addGrid(grid, of: input.name, to: &model.graph)
                model.graph.node.append(dequantise(slot.name, to: input.name))
            } else {
                model.graph.node.append(cast(slot.name, to: input.name, type: 1))
            }
        }
        var integers: [[Int]: String] = [:]
        var written: Set<String> = []
        for node in graph.nodes {
            if case .quantise(let grid) = node.operation {
                addGrid(grid, of: node.output, to: &model.graph)
                model.graph.node += [
                    quantise(node.inputs[0], to: pointsName(node.output), grid: node.output),
                    dequantise(pointsName(node.output), to: node.output),
                ]
                continue
            }
            for (position, name) in node.inputs.enumerated() {
                guard let weight = graph.weights[name], written.insert(name).inserted else { continue }
                if position > 0, let steps = graph.weightSteps[node.inputs[1]] {
                    // The bias in the steps of the sums that it is added to: integers throughout.
                    let scale = position == 1 ? 1 : grids[node.inputs[0]]?.step
                    if let scale {
                        try addInteger(weight, steps: steps.map { $0 * scale }, isBias: position > 1, to: &model.graph)
                        continue
                    }
                }
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
        if !exposing.isEmpty || !passing.isEmpty {
            let shapes = try graph.shapes()
            for node in graph.nodes where passing.contains(node.output) {
                let axes = (shapes[node.output] ?? []).map { TensorDescription.Dimension.fixed($0) }
                let slot = graph.passed(node.output)
                if slot.element == .float16 {
                    model.graph.node.append(cast(node.output, to: slot.name, type: 10))
                }
                model.graph.output.append(valueInfo(TensorDescription(name: node.output, shape: axes), slot))
            }
            let declared = Set(graph.outputs.map(\.name))
            for node in graph.nodes where exposing.contains(node.output) && !declared.contains(node.output) {
                let axes = (shapes[node.output] ?? []).dropFirst().map { TensorDescription.Dimension.fixed($0) }
                model.graph.output.append(valueInfo(TensorDescription(name: node.output, shape: [.batch] + axes)))
            }
        }
        return try model.serializedData()
    }

    /// The name of a tensor's points on its grid.
    fileprivate static func pointsName(_ name: String) -> String { name + ".points" }

    private static func addGrid(_ grid: Grid, of name: String, to graph: inout Onnx_GraphProto) {
        graph.initializer += [
            .with {
                ($0.name, $0.dataType, $0.floatData) = (name + ".step", 1, [grid.step])
            },
            .with {
                ($0.name, $0.dataType, $0.rawData) = (name + ".zero", 2, Data([grid.zero]))
            },
        ]
    }

    private static func quantise(_ source: String, to target: String, grid: String) -> Onnx_NodeProto {
        .with {
            ($0.name, $0.opType, $0.output) = (target, "QuantizeLinear", [target])
            $0.input = [source, grid + ".step", grid + ".zero"]
        }
    }

    private static func dequantise(_ source: String, to target: String) -> Onnx_NodeProto {
        .with {
            ($0.name, $0.opType, $0.output) = (target + ".dequantised", "DequantizeLinear", [target])
            $0.input = [source, target + ".step", target + ".zero"]
        }
    }

    /// A weight as int8, or a bias as int32, with the steps of its channels.
    private static func addInteger(
        _ weight: StoredTensor, steps: [Float], isBias: Bool, to graph: inout Onnx_GraphProto
    ) throws {
        let values = weight.floats()
        guard let channels = weight.shape.first, channels == steps.count, channels > 0,
            steps.allSatisfy({ $0 > 0 && $0.isFinite }), values.allSatisfy(\.isFinite)
        else {
            throw VisemeError(
                .internal, "The weight '\(weight.name)' of shape \(weight.shape) has \(steps.count) steps.")
        }
        let each = values.count / channels
        func points<Integer: FixedWidthInteger>(_: Integer.Type, within limit: Float) -> Data {
            var points = [Integer](repeating: 0, count: values.count)
            for channel in 0..<channels {
                for i in channel * each..<(channel + 1) * each {
                    let nearest = (values[i] / steps[channel]).rounded(.toNearestOrEven)
                    points[i] = Integer(truncatingIfNeeded: Int32(max(-limit, min(limit, nearest)))).littleEndian
                }
            }
            return points.withUnsafeBytes { Data($0) }
        }
        graph.initializer += [
            .with {
                $0.name = pointsName(weight.name)
                $0.dims = weight.shape.map(Int64.init)
                ($0.dataType, $0.rawData) =
                    isBias ? (6, points(Int32.self, within: 2e9)) : (3, points(Int8.self, within: 127))
            },
            .with {
                ($0.name, $0.dims, $0.dataType) = (weight.name + ".step", [Int64(channels)], 1)
                $0.floatData = steps
            },
            .with {
                ($0.name, $0.dims) = (weight.name + ".zero", [Int64(channels)])
                ($0.dataType, $0.rawData) = (isBias ? 6 : 3, Data(count: channels * (isBias ? 4 : 1)))
            },
        ]
        var node = dequantise(pointsName(weight.name), to: weight.name)
        node.attribute = [integer("axis", 0)]
        graph.node.append(node)
    }

    static func cast(_ source: String, to target: String, type: Int) -> Onnx_NodeProto {
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
        _ node: ModelGraph.Node, _ graph: inout Onnx_GraphProto, _ integers: inout [[Int]: String]
    ) -> Onnx_NodeProto {
        var proto = Onnx_NodeProto()
        proto.name = node.name
        proto.input = node.inputs
        proto.output = [node.output]
        switch node.operation {
        case .convolution(let convolution):
            proto.opType = "Conv"
            proto.attribute = [
                list("strides", convolution.strides), list("pads", convolution.padding),
                list("dilations", convolution.dilations), integer("group", convolution.groups),
            ]
        case .linear:
            proto.opType = "Gemm"
            proto.attribute = [integer("transB", 1)]
        case .batchNormalisation(let epsilon):
            proto.opType = "BatchNormalization"
            proto.attribute = [
                .with {
                    $0.name = "epsilon"
                    $0.type = .float
                    $0.f = epsilon
                }
            ]
        case .relu, .sigmoid, .add, .subtract, .multiply, .divide, .minimum, .maximum:
            proto.opType = Operation.named.first { $0.operation == node.operation }?.onnx ?? ""
        case .softmax:
            proto.opType = "Softmax"
            proto.attribute = [integer("axis", 1)]
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
        case .pixelShuffle(let factor):
            proto.opType = "DepthToSpace"
            proto.attribute = [integer("blocksize", factor), text("mode", "CRD")]
        case .reshape(let axes):
            proto.opType = "Reshape"
            // 0: the batch as it is
            proto.input = [node.inputs[0], constant([0] + axes, in: &graph, &integers)]
        case .transpose(let axes):
            proto.opType = "Transpose"
            proto.attribute = [list("perm", axes)]
        case .slice(let axis, let range):
            proto.opType = "Slice"
            proto.input =
                [node.inputs[0]]
                + [range.lowerBound, range.upperBound, axis].map { constant([$0], in: &graph, &integers) }
        case .quantise: preconditionFailure("a grid is two nodes")
        }
        return proto
    }

    /// The name of a list of integers, which is stored once.
    private static func constant(
        _ values: [Int], in graph: inout Onnx_GraphProto, _ integers: inout [[Int]: String]
    ) -> String {
        let name = integers[values] ?? "shape.\(integers.count)"
        if integers.updateValue(name, forKey: values) == nil {
            graph.initializer.append(
                .with {
                    ($0.name, $0.dataType, $0.dims) = (name, 7, [Int64(values.count)])
                    $0.int64Data = values.map(Int64.init)
                })
        }
        return name
    }

    /// - Parameter slot: How the tensor passes; nil for Float32 under its own name.
    static func valueInfo(_ tensor: TensorDescription, _ slot: TensorSlot? = nil) -> Onnx_ValueInfoProto {
        .with {
            $0.name = slot?.name ?? tensor.name
            $0.type.tensorType.elemType =
                switch slot?.element ?? .float32 {
                case .float32: 1
                case .float16: 10
                case .uint8: 2
                }
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

extension ModelGraph {
    /// The tensors that lie on a grid.
    var grids: [String: Grid] {
        nodes.reduce(into: inputGrids) { grids, node in
            if case .quantise(let grid) = node.operation { grids[node.output] = grid }
        }
    }

    /// How a tensor passes from one part of a network to another: in points where it has a grid, else as Float16.
    ///
    /// - Parameter shape: All axes.
    func passed(_ name: String, shape: [Int] = []) -> TensorSlot {
        grids[name] != nil
            ? TensorSlot(ONNXWriter.pointsName(name), shape, .uint8) : TensorSlot(name + ".half", shape, .float16)
    }
}
