import Viseme

/// One layer's weights as the verdict looks at them.
struct LayerWeights {
    /// The layer's name.
    var name: String
    /// [out, in/groups, …].
    var weight: StoredTensor
    /// [out].
    var bias: StoredTensor?
    /// Whether the batch normalisation behind it still has its first values; nil when it was folded away or never there.
    var normalisationIsUntouched: Bool?

    /// Inputs of one output: what PyTorch's default initialisation is scaled with.
    var fanIn: Int { max(1, weight.shape.dropFirst().reduce(1, *)) }

    /// The convolutions and matrix products of a graph.
    static func layers(of graph: ModelGraph) -> [LayerWeights] {
        var layers: [LayerWeights] = []
        var maker: [String: Int] = [:]
        for node in graph.nodes {
            switch node.operation {
            case .convolution, .linear:
                guard let weight = graph.weights[node.inputs[1]] else { continue }
                maker[node.output] = layers.count
                let bias = node.inputs.count > 2 ? graph.weights[node.inputs[2]] : nil
                layers.append(LayerWeights(name: node.name, weight: weight, bias: bias))
            case .batchNormalisation:
                guard let index = maker[node.inputs[0]] else { continue }
                let first: [Float] = [1, 0, 0, 1]  // gamma, beta, mean, variance
                layers[index].normalisationIsUntouched = zip(node.inputs.dropFirst(), first).allSatisfy { name, value in
                    graph.weights[name]?.floats().allSatisfy { $0 == value } ?? false
                }
            default: continue
            }
        }
        return layers
    }

    /// Every stored matrix and kernel of an ONNX file whose operations are not those of these networks.
    static func layers(of model: Onnx_ModelProto) throws -> [LayerWeights] {
        // A matrix product reads [in, out], everything else [out, in, …].
        let transposed = Set(
            model.graph.node.filter {
                $0.opType == "MatMul" || $0.opType == "Gemm" && ($0.integer("transB") ?? 0) == 0
            }.compactMap { $0.input.dropFirst().first })
        let constants = model.graph.node.filter { $0.opType == "Constant" }.compactMap { node in
            node.attribute("value").map { value in
                var tensor = value.t
                tensor.name = node.output.first ?? node.name
                return tensor
            }
        }
        return try (model.graph.initializer + constants).compactMap { tensor in
            guard tensor.dims.count >= 2, [1, 10, 11, 16].contains(tensor.dataType) else { return nil }
            var weight = try StoredTensor(tensor)
            guard weight.count > 0 else { return nil }
            if weight.shape.count == 2, transposed.contains(tensor.name) {
                // Which weight is whose does not matter to a verdict: only how many inputs an output has.
                weight = try StoredTensor(
                    name: weight.name, shape: weight.shape.reversed(), type: weight.type, bytes: weight.bytes)
            }
            return LayerWeights(name: tensor.name, weight: weight)
        }
    }

    /// Everything in a state dict of unknown architecture that looks like a layer's weights.
    static func layers(of state: StateDict) -> [LayerWeights] {
        state.tensors.compactMap { tensor in
            guard tensor.name.hasSuffix("weight"), tensor.shape.count >= 2, tensor.type.isFloatingPoint,
                tensor.count > 0
            else {
                return nil
            }
            let stem = tensor.name.dropLast("weight".count)
            return LayerWeights(
                name: String(stem.hasSuffix(".") ? stem.dropLast() : stem), weight: tensor, bias: state[stem + "bias"])
        }
    }
}
