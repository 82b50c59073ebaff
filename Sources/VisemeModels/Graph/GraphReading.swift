import Viseme

/// A graph while a reader writes it down, node by node. Shapes are followed for a batch of one.
protocol GraphReading {
    /// Of everything that was made or taken over so far.
    var shapes: [String: [Int]] { get set }
    /// Stored tensors that the graph reads.
    var weights: [String: StoredTensor] { get set }
    /// Tensors that are others under a second name.
    var alias: [String: String] { get set }
    var nodes: [ModelGraph.Node] { get set }
}

extension GraphReading {
    /// The name of a tensor inside the graph.
    func resolve(_ name: String) -> String {
        var (name, steps) = (name, 0)
        while let next = alias[name], steps <= alias.count { (name, steps) = (next, steps + 1) }
        return name
    }

    /// Whether a tensor is an input of the network or made by it, and not stored.
    func isMade(_ name: String) -> Bool { shapes[name] != nil && weights[name] == nil }

    /// Writes an operation down.
    ///
    /// - Throws: `.badData` when its inputs do not exist or do not fit.
    mutating func append(_ operation: Operation, name: String, _ inputs: [String], to output: String) throws {
        let node = ModelGraph.Node(operation, name: name, inputs: inputs, output: output)
        shapes[output] = try node.shape(in: shapes)
        nodes.append(node)
    }

    /// Writes operations down that run one after the other, each with what it reads beside. None: the result is the tensor itself.
    mutating func append(
        _ chain: [(operation: Operation, beside: [String])], name: String, _ data: String, to output: String
    ) throws {
        if chain.isEmpty { alias[output] = data }
        var x = data
        for (index, step) in chain.enumerated() {
            let suffix = index == chain.count - 1 ? "" : ".\(index)"
            try append(step.operation, name: name + suffix, [x] + step.beside, to: output + suffix)
            x = output + suffix
        }
    }

    /// Writes down some places of an axis, without the axis where `drops` says so.
    mutating func appendPart(
        _ range: Range<Int>, ofAxis axis: Int, drops: Bool = false, name: String, _ data: String, to output: String
    ) throws {
        var shape = shapes[data] ?? []
        var chain: [(Operation, [String])] = []
        if !shape.indices.contains(axis) || range != 0..<shape[axis] { chain.append((.slice(axis: axis, range), [])) }
        if drops, shape.indices.contains(axis) {
            shape.remove(at: axis)
            chain.append((.reshape(Array(shape.dropFirst())), []))
        }
        try append(chain, name: name, data, to: output)
    }

    /// Gives a stored tensor the form in which it meets another one place by place: a number without axes, or as many axes.
    mutating func suit(_ name: String, beside made: String) throws {
        guard let stored = weights[name], let axes = shapes[made]?.count, stored.shape.count <= axes else { return }
        let shape = stored.count == 1 ? [] : Array(repeating: 1, count: axes - stored.shape.count) + stored.shape
        weights[name] = try StoredTensor(name: stored.name, shape: shape, type: stored.type, bytes: stored.bytes)
        shapes[name] = shape
    }

    /// The tensors of a pairwise operation in the order that the graph has: of a sum or product the stored one last.
    func ordered(_ pair: [String], _ operation: Operation) -> [String] {
        operation.isCommutative && !isMade(pair[0]) ? pair.reversed() : pair
    }
}
