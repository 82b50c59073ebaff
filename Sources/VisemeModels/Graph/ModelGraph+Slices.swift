import Viseme

extension ModelGraph {
    /// The same network with its large blocks computed in slices of their hidden channels, one after the other.
    ///
    /// A block widens its input, filters every channel for itself and sums the channels up again. What lies between is the
    /// largest tensor of the network and is worth nothing afterwards; in slices it stays in the processor's cache instead of
    /// going to memory and back four times. The sums are the same but for the order of their terms.
    ///
    /// - Parameter bytes: The largest hidden tensor in Float32 that is left whole.
    func withSlices(ofAtMost bytes: Int) throws -> ModelGraph {
        let shapes = try shapes()
        var readers: [String: [Node]] = [:]
        for node in nodes { for input in node.inputs { readers[input, default: []].append(node) } }
        // Tensors that exactly one operation reads and that are not outputs.
        let results = Set(outputs.map(\.name))
        let sole = readers.filter { $1.count == 1 && !results.contains($0) }.compactMapValues(\.first)
        var blocks: [String: Block] = [:]  // by the output of the first operation
        for node in nodes {
            guard let size = shapes[node.output].map({ 4 * $0.reduce(1, *) }), size > bytes,
                let block = Block.beginning(with: node, in: self, readers: sole)
            else { continue }
            // Slices of whole groups of 16 channels, which is what runtimes compute at a time.
            let groups = block.channels / 16
            let slices = min(groups, (size + bytes - 1) / bytes)
            guard block.channels % 16 == 0, slices > 1 else { continue }
            blocks[node.output] = block.sliced(into: slices)
        }
        var graph = self
        graph.nodes = []
        var replaced: [String: [Node]] = [:]
        var inside: Set<String> = []
        for (_, block) in blocks {
            inside.formUnion(block.nodes.map(\.output))
            // The slices stand where the block ended: everything that they read has been computed there.
            replaced[block.output] = try graph.take(block)
        }
        for node in nodes {
            if let slices = replaced[node.output] {
                graph.nodes += slices
            } else if !inside.contains(node.output) {
                graph.nodes.append(node)
            }
        }
        return graph
    }

    /// The nodes that compute a block in slices; their weights are put into the graph.
    private mutating func take(_ block: Block) throws -> [Node] {
        var made: [Node] = []
        var sum = ""
        for slice in 0..<block.slices {
            let share = block.channels / 16
            let range = slice * share / block.slices * 16..<(slice + 1) * share / block.slices * 16
            let suffix = ".slice\(slice)"
            var x = block.nodes[0].inputs[0]
            for (position, node) in block.nodes.enumerated() {
                var copy = node
                let isLast = position == block.nodes.count - 1
                copy.name += suffix
                copy.output += suffix
                copy.inputs[0] = x
                for (index, name) in node.inputs.enumerated().dropFirst() {
                    guard let weight = weights[name] else { continue }
                    if isLast, index == 2, slice > 0 {
                        copy.inputs.removeLast()  // the bias is added once
                        continue
                    }
                    copy.inputs[index] = name + suffix
                    weights[name + suffix] =
                        isLast && index == 2
                        ? weight.named(name + suffix) : weight.slice(range, axis: isLast ? 1 : 0, name: name + suffix)
                }
                if case .convolution(var convolution) = node.operation, convolution.groups > 1 {
                    convolution.groups = range.count
                    copy.operation = .convolution(convolution)
                }
                made.append(copy)
                x = copy.output
            }
            if slice > 0 {
                let isWhole = slice == block.slices - 1
                let output = isWhole ? block.output : x + ".sum"
                made.append(Node(.add, name: output + ".add", inputs: [sum, x], output: output))
                sum = output
            } else {
                sum = x
            }
        }
        for name in block.nodes.flatMap({ $0.inputs.dropFirst() }) { weights[name] = nil }
        return made
    }
}

/// Pointwise convolution, activation, depthwise convolution, activation, pointwise convolution.
private struct Block {
    let nodes: [ModelGraph.Node]
    let channels: Int
    var slices = 1
    var output: String { nodes[4].output }

    /// The block that begins with a node, or nil.
    static func beginning(
        with first: ModelGraph.Node, in graph: ModelGraph, readers: [String: ModelGraph.Node]
    ) -> Block? {
        // Written plainly: an optimiser of Swift 6.3 stops at the usual guard here.
        let shape = first.inputs.count > 1 ? graph.weights[first.inputs[1]]?.shape ?? [] : []
        if shape.count != 4 || shape[2] != 1 || shape[3] != 1 || first.groups != 1 { return nil }
        var nodes: [ModelGraph.Node] = [first]
        for wanted in [nil, shape[0], nil, 1] as [Int?] {  // activation, depthwise, activation, pointwise
            let next = readers[nodes[nodes.count - 1].output] ?? first
            if next.groups != wanted || wanted == nil && next.operation != .relu { return nil }
            nodes.append(next)
        }
        return graph.haveWeightsOfTheirOwn(nodes, readers) ? Block(nodes: nodes, channels: shape[0]) : nil
    }

    func sliced(into slices: Int) -> Block {
        var block = self
        block.slices = slices
        return block
    }
}

extension ModelGraph {
    /// Float32 weights that no other operation reads, and as many filters as channels.
    fileprivate func haveWeightsOfTheirOwn(_ block: [Node], _ readers: [String: Node]) -> Bool {
        let names = block.flatMap { Array($0.inputs.dropFirst()) }
        let isSliceable = names.allSatisfy { weights[$0] != nil && readers[$0] != nil && weightSteps[$0] == nil }
        return isSliceable && weights[block[2].inputs[1]]?.shape[0] == weights[block[0].inputs[1]]?.shape[0]
    }
}

extension ModelGraph.Node {
    /// Of a convolution.
    fileprivate var groups: Int? {
        if case .convolution(let convolution) = operation { return convolution.groups }
        return nil
    }
}

extension StoredTensor {
    fileprivate func named(_ name: String) -> StoredTensor {
        var copy = self
        copy.name = name
        return copy
    }

    /// Some channels, along the first or the second axis.
    fileprivate func slice(_ range: Range<Int>, axis: Int, name: String) -> StoredTensor {
        let values = floats()
        var shape = shape
        let inner = shape[(axis + 1)...].reduce(1, *)
        let outer = shape[..<axis].reduce(1, *)
        var picked: [Float] = []
        for i in 0..<outer {
            let start = i * shape[axis] * inner
            picked += values[start + range.lowerBound * inner..<start + range.upperBound * inner]
        }
        shape[axis] = range.count
        return StoredTensor(name: name, shape: shape, floats: picked)
    }
}
