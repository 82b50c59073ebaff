import Viseme

extension ModelGraph {
    /// The tensors that are computed from any of `names`, these included.
    func dependants(of names: Set<String>) -> Set<String> {
        var reached = names
        for node in nodes where node.inputs.contains(where: reached.contains) { reached.insert(node.output) }
        return reached
    }

    /// The tensors that `names` are computed from, these included; the search ends at `stops`.
    func ancestors(of names: Set<String>, stoppingAt stops: Set<String> = []) -> Set<String> {
        var needed = names
        for node in nodes.reversed() where needed.contains(node.output) && !stops.contains(node.output) {
            needed.formUnion(node.inputs)
        }
        return needed
    }

    /// The part of this graph between some of its tensors, as a graph of its own for a batch of one.
    ///
    /// - Parameters:
    ///   - sources: Tensors that the caller will give.
    ///   - targets: Tensors that it wants.
    ///   - shapes: `shapes()` of this graph.
    func part(from sources: [String], to targets: [String], shapes: [String: [Int]]) -> ModelGraph {
        let given = Set(sources)
        let needed = ancestors(of: Set(targets), stoppingAt: given)
        func described(_ names: [String]) -> [TensorDescription] {
            names.map { TensorDescription(name: $0, shape: (shapes[$0] ?? []).map { .fixed($0) }) }
        }
        let inside = nodes.filter { needed.contains($0.output) && !given.contains($0.output) }
        let read = Set(inside.flatMap(\.inputs))
        var part = ModelGraph(
            inputs: described(sources), outputs: described(targets), nodes: inside,
            weights: weights.filter { read.contains($0.key) })
        part.weightSteps = weightSteps.filter { read.contains($0.key) }
        part.inputGrids = grids.filter { given.contains($0.key) }
        return part
    }

    /// The cost of computing `names` when `known` is given: multiplications, and eight for each value that is read or written.
    ///
    /// Eight is what a value cost in ONNX Runtime's profile of these networks; only the proportions matter.
    ///
    /// - Throws: `.badData` when the numbers are too large to be counted.
    func cost(of names: Set<String>, without known: Set<String>, shapes: [String: [Int]]) throws -> Int {
        let needed = ancestors(of: names).subtracting(ancestors(of: known))
        var cost = WorkCount()
        for node in nodes where needed.contains(node.output) {
            let data = node.inputs.filter { weights[$0] == nil }
            for name in [node.output] + data { try cost.add([8] + (shapes[name] ?? [])) }
            try cost.add(node.multiplications(shapes))
        }
        return cost.total
    }
}
