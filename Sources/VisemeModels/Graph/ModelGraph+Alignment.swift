import Viseme

extension ModelGraph {
    /// What every tensor is made by, as a number that depends on operations and shapes alone, not on names or weights.
    ///
    /// Two graphs of one architecture have the same numbers, whoever exported them. They hold within one process.
    func signatures() throws -> [String: Int] {
        let shapes = try shapes()
        var signatures: [String: Int] = [:]
        for input in inputs { signatures[input.name] = input.shape.dropFirst().map { "\($0)" }.hashValue }
        /// A single number is a part of what is computed; Float16 may have rounded it. Of other weights the shape counts.
        func stored(_ name: String) -> Int? {
            guard let weight = weights[name] else { return nil }
            return weight.shape.isEmpty ? weight.floats().map(HalfPrecision.bits).hashValue : weight.shape.hashValue
        }
        for node in nodes {
            var hasher = Hasher()
            switch node.operation {
            case .batchNormalisation, .quantise: hasher.combine(node.operation.label)
            default: hasher.combine(node.operation)
            }
            // Whoever exports it may leave out a bias of zeros.
            let inputs = node.isLayer ? node.inputs.prefix(2) : node.inputs[...]
            var sources = inputs.map { signatures[$0] ?? stored($0) }
            if node.operation.isCommutative { sources.sort { $0 ?? 0 < $1 ?? 0 } }  // a + b is b + a
            hasher.combine(sources)
            hasher.combine(shapes[node.output])
            signatures[node.output] = hasher.finalize()
        }
        return signatures
    }

    /// The nodes of this graph with those of another that do the same thing at the same place.
    ///
    /// Both graphs must be folded, or neither. Layers that read the same tensor and have the same shapes are told apart by their order.
    func aligned(with other: ModelGraph) throws -> [(Node, Node?)] {
        let (mine, theirs) = (try signatures(), try other.signatures())
        let partners = Dictionary(grouping: other.nodes) { theirs[$0.output] ?? 0 }
        var taken: [Int: Int] = [:]
        return nodes.map { node in
            let signature = mine[node.output] ?? 0
            let position = taken[signature, default: 0]
            taken[signature] = position + 1
            let candidates = partners[signature] ?? []
            return (node, position < candidates.count ? candidates[position] : nil)
        }
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
