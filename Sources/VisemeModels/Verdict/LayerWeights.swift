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

    /// The convolutions of a graph.
    static func layers(of graph: ModelGraph) -> [LayerWeights] {
        var layers: [LayerWeights] = []
        var maker: [String: Int] = [:]
        for node in graph.nodes {
            switch node.operation {
            case .convolution:
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
