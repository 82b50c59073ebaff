import Viseme

extension ModelGraph {
    /// The same network with the hidden channels of its blocks filled up with zeros to a multiple of `multiple`.
    ///
    /// Runtimes compute 16 channels at a time and are slow with any rest: 12 channels of a depthwise layer take several times
    /// as long as 16. The channels that are added are 0 throughout and are multiplied with 0, so nothing changes. Only
    /// channels between a convolution and the next one that mixes channels are filled up: nothing else sees them.
    func withChannels(multipleOf multiple: Int) -> ModelGraph {
        var readers: [String: [Int]] = [:]
        for (index, node) in nodes.enumerated() {
            for input in node.inputs { readers[input, default: []].append(index) }
        }
        let results = Set(outputs.map(\.name))
        var graph = self
        for node in nodes {
            guard case .convolution(let convolution) = node.operation, convolution.groups == 1,
                // Weights that two layers share would be filled up twice.
                node.inputs[1...].allSatisfy({ readers[$0]?.count == 1 }),
                let channels = weights[node.inputs[1]]?.shape.first, channels % multiple != 0,
                let (depthwise, mixing) = block(after: node.output, channels: channels, readers, results)
            else { continue }
            let added = multiple - channels % multiple
            graph.pad(node, axis: 0, by: added)
            for index in depthwise {
                graph.pad(nodes[index], axis: 0, by: added)
                guard case .convolution(var layer) = nodes[index].operation else { continue }
                layer.groups += added
                graph.nodes[index].operation = .convolution(layer)
            }
            for index in mixing { graph.pad(nodes[index], axis: 1, by: added) }
        }
        return graph
    }

    /// The depthwise layers that a tensor goes through, and the convolutions that it ends in; nil when something else reads it.
    private func block(
        after name: String, channels: Int, _ readers: [String: [Int]], _ results: Set<String>
    ) -> (depthwise: [Int], mixing: [Int])? {
        guard !results.contains(name), let indices = readers[name] else { return nil }
        var (depthwise, mixing): ([Int], [Int]) = ([], [])
        for index in indices {
            switch nodes[index].operation {
            case .relu, .quantise: break
            case .convolution(let convolution) where convolution.groups == channels && channels > 1:
                guard nodes[index].inputs[1...].allSatisfy({ readers[$0]?.count == 1 }) else { return nil }
                depthwise.append(index)
            case .convolution(let convolution) where convolution.groups == 1:
                guard readers[nodes[index].inputs[1]]?.count == 1 else { return nil }
                mixing.append(index)
                continue
            default: return nil
            }
            guard let rest = block(after: nodes[index].output, channels: channels, readers, results) else { return nil }
            depthwise += rest.depthwise
            mixing += rest.mixing
        }
        return (depthwise, mixing)
    }

    /// Fills up a convolution's weights with zeros: axis 0 for more channels out, and their bias, axis 1 for more in.
    private mutating func pad(_ node: Node, axis: Int, by added: Int) {
        for (position, name) in node.inputs.enumerated().dropFirst() where position == 1 || axis == 0 {
            guard let weight = weights[name] else { continue }
            var shape = weight.shape
            let row = weight.count / max(1, shape[0])
            var values: [Float] = []
            let old = weight.floats()
            if axis == 0 {
                values = old + [Float](repeating: 0, count: added * row)
            } else {
                let zeros = [Float](repeating: 0, count: added * row / max(1, shape[1]))
                for start in stride(from: 0, to: old.count, by: max(1, row)) {
                    values += old[start..<start + row] + zeros
                }
            }
            shape[axis] += added
            weights[name] = StoredTensor(name: weight.name, shape: shape, floats: values)
            if axis == 0, let steps = weightSteps[name] {
                weightSteps[name] = steps + [Float](repeating: 1, count: added)
            }
        }
    }
}
