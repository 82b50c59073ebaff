import Viseme

extension ModelGraph {
    /// The same network in int8: tensors snap to grids of uint8 between the layers, weights to grids of int8, one step a channel.
    ///
    /// What a convolution gives to its own activation alone stays as it is, and so does the output: runtimes fuse those.
    /// Upsampling and reshaping keep the grid. Joining does not: a skip would lose to what is joined to it.
    ///
    /// - Parameter ranges: The least and the largest value of every tensor, on material like that of use.
    func quantised(ranges: [String: ClosedRange<Float>]) -> ModelGraph {
        var readers: [String: [Operation]] = [:]
        for node in nodes {
            for input in node.inputs where weights[input] == nil { readers[input, default: []].append(node.operation) }
        }
        func hasGrid(_ name: String) -> Bool {
            !(readers[name] ?? []).allSatisfy { $0 == .relu || $0 == .sigmoid }
        }
        let shared = sharedRanges(ranges)
        var graph = self
        graph.nodes = []
        var snapped: [String: String] = [:]
        func snap(_ name: String) {
            guard hasGrid(name), let range = shared[name] else { return }
            let output = name + ".grid"
            snapped[name] = output
            graph.nodes.append(
                Node(
                    .quantise(Grid(from: range.lowerBound, to: range.upperBound)), name: output, inputs: [name],
                    output: output))
        }
        for input in inputs { snap(input.name) }
        for var node in nodes {
            if node.operation != .relu, node.operation != .sigmoid {
                node.inputs = node.inputs.map { snapped[$0] ?? $0 }
            }
            graph.nodes.append(node)
            snap(node.output)
            guard case .convolution = node.operation, let weight = weights[node.inputs[1]] else { continue }
            let values = weight.floats()
            let each = values.count / weight.shape[0]
            let steps = (0..<weight.shape[0]).map { channel in
                let largest = values[channel * each..<(channel + 1) * each].reduce(0) { max($0, abs($1)) }
                return max(largest / 127, 1e-20)
            }
            let nearest = values.indices.map { i in
                (values[i] / steps[i / each]).rounded(.toNearestOrEven) * steps[i / each]
            }
            graph.weights[weight.name] = StoredTensor(name: weight.name, shape: weight.shape, floats: nearest)
            graph.weightSteps[weight.name] = steps
        }
        return graph
    }

    /// The ranges, with one for both sides of what only moves values.
    private func sharedRanges(_ ranges: [String: ClosedRange<Float>]) -> [String: ClosedRange<Float>] {
        var parent: [String: String] = [:]
        func root(_ name: String) -> String {
            var name = name
            while let next = parent[name] { name = next }
            return name
        }
        for node in nodes {
            switch node.operation {
            case .upsample, .reshape:
                for input in node.inputs where weights[input] == nil && root(input) != root(node.output) {
                    parent[root(input)] = root(node.output)
                }
            default: break
            }
        }
        var joined: [String: ClosedRange<Float>] = [:]
        for (name, range) in ranges {
            let known = joined[root(name)] ?? range
            joined[root(name)] =
                min(known.lowerBound, range.lowerBound)...max(known.upperBound, range.upperBound)
        }
        return ranges.keys.reduce(into: [:]) { $0[$1] = joined[root($1)] }
    }

    /// The same network with Float32 between its layers; its weights stay where their grids put them.
    func withoutGrids() -> ModelGraph {
        guard nodes.contains(where: { if case .quantise = $0.operation { true } else { false } }) else { return self }
        var graph = self
        graph.weightSteps = [:]
        var alias: [String: String] = [:]
        graph.nodes = nodes.compactMap { node in
            if case .quantise = node.operation {
                alias[node.output] = alias[node.inputs[0]] ?? node.inputs[0]
                return nil
            }
            var node = node
            node.inputs = node.inputs.map { alias[$0] ?? $0 }
            return node
        }
        return graph
    }
}
