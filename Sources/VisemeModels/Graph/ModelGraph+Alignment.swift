import Viseme

extension ModelGraph {
    /// What every tensor is made by, as a number that depends on operations and shapes alone, not on names or weights.
    ///
    /// Two graphs of one architecture have the same numbers, whoever exported them. They hold within one process.
    func signatures() throws -> [String: Int] {
        let shapes = try shapes()
        var signatures: [String: Int] = [:]
        for input in inputs { signatures[input.name] = input.shape.dropFirst().map { "\($0)" }.hashValue }
        for node in nodes {
            var hasher = Hasher()
            hasher.combine(node.operation.label)
            if case .convolution(let convolution) = node.operation {
                hasher.combine(convolution.strides)
                hasher.combine(convolution.padding)
                hasher.combine(convolution.groups)
                hasher.combine(shapes[node.inputs[1]])
            }
            var sources = node.inputs.compactMap { signatures[$0] }
            if node.operation == .add { sources.sort() }  // a + b is b + a
            hasher.combine(sources)
            hasher.combine(shapes[node.output])
            signatures[node.output] = hasher.finalize()
        }
        return signatures
    }

    /// The nodes of this graph with those of another that do the same thing at the same place.
    ///
    /// Both graphs must be folded, or neither.
    func aligned(with other: ModelGraph) throws -> [(Node, Node?)] {
        let (mine, theirs) = (try signatures(), try other.signatures())
        var partners: [Int: Node] = [:]
        for node in other.nodes { if let signature = theirs[node.output] { partners[signature] = node } }
        return nodes.map { node in (node, mine[node.output].flatMap { partners[$0] }) }
    }

    /// The same network with the names of the architecture it belongs to: layers are then called as in the checkpoint.
    func named(like architecture: ModelGraph) throws -> ModelGraph {
        var graph = self
        for (index, (_, partner)) in try aligned(with: architecture).enumerated() {
            if let partner { graph.nodes[index].name = partner.name }
        }
        return graph
    }
}
