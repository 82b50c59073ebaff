import Viseme

extension ModelGraph {
    /// The same network with every batch normalisation folded into the convolution before it.
    ///
    /// In Float32 and in this order it is bit-equal to coremltools: s = gamma / √(variance + ε), w·s, s·(b − mean) + beta.
    /// A batch normalisation that does not follow a convolution of its own stays.
    public func folded() -> ModelGraph {
        var readers: [String: Int] = [:]
        for node in nodes { for input in node.inputs { readers[input, default: 0] += 1 } }
        for output in outputs { readers[output.name, default: 0] += 1 }
        var graph = self
        graph.nodes = []
        var maker: [String: Int] = [:]  // tensor → its node in `graph`
        for node in nodes {
            if case .batchNormalisation(let epsilon) = node.operation, let index = maker[node.inputs[0]],
                case .convolution = graph.nodes[index].operation, readers[node.inputs[0]] == 1,
                node.inputs.count == 5, readers[graph.nodes[index].inputs[1]] == 1,
                let values = node.inputs[1...].map({ weights[$0]?.floats() }) as? [[Float]],
                let kernel = weights[graph.nodes[index].inputs[1]]
            {
                let convolution = graph.nodes[index]
                let bias = convolution.inputs.count > 2 ? weights[convolution.inputs[2]]?.floats() : nil
                let channels = kernel.shape[0]
                var scaled = kernel.floats()
                var shift = [Float](repeating: 0, count: channels)
                let each = scaled.count / channels
                for c in 0..<channels {
                    let scale = values[0][c] / (values[3][c] + epsilon).squareRoot()
                    for i in c * each..<(c + 1) * each { scaled[i] *= scale }
                    shift[c] = scale * ((bias?[c] ?? 0) - values[2][c]) + values[1][c]
                }
                let biasName = convolution.name + ".bias"
                for name in convolution.inputs[1...] + node.inputs[1...] { graph.weights[name] = nil }
                graph.weights[kernel.name] = StoredTensor(name: kernel.name, shape: kernel.shape, floats: scaled)
                graph.weights[biasName] = StoredTensor(name: biasName, shape: [channels], floats: shift)
                graph.nodes[index].inputs = [convolution.inputs[0], kernel.name, biasName]
                graph.nodes[index].output = node.output
                maker[node.output] = index
            } else {
                maker[node.output] = graph.nodes.count
                graph.nodes.append(node)
            }
        }
        return graph
    }

    /// The same network with its weights rounded to `type`.
    ///
    /// - Throws: `.badData` when a weight is too large for it.
    public func withWeights(as type: ElementType) throws -> ModelGraph {
        var graph = self
        for (name, tensor) in weights { graph.weights[name] = try tensor.converted(to: type) }
        return graph
    }
}
