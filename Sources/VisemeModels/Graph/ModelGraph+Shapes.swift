import Viseme

extension ModelGraph {
    /// The shape of every tensor for a batch of one.
    ///
    /// It checks the whole graph on the way: every input exists, no tensor is made twice, all shapes fit.
    ///
    /// - Throws: `.badData` naming the node, what it wants and what it has.
    public func shapes() throws -> [String: [Int]] {
        var shapes: [String: [Int]] = weights.mapValues(\.shape)
        for input in inputs {
            let shape = input.shape.map { axis in if case .fixed(let length) = axis { length } else { 1 } }
            guard shape.allSatisfy({ (1...65536).contains($0) }), StoredTensor.count(of: shape) != nil else {
                throw VisemeError(.badData, "The input '\(input.name)' has the shape \(input.shapeText).")
            }
            guard shapes.updateValue(shape, forKey: input.name) == nil else {
                throw VisemeError(.badData, "Two tensors are called '\(input.name)'.")
            }
        }
        for node in nodes {
            let given = try node.inputs.map { name in
                guard let shape = shapes[name] else {
                    throw VisemeError(.badData, "\(node.title) reads '\(name)', which nothing before it makes.")
                }
                return shape
            }
            let shape = try node.shape(of: given)
            guard let count = StoredTensor.count(of: shape), count <= 1 << 31 else {
                throw VisemeError(.badData, "\(node.title) would make \(shape).")
            }
            guard shapes.updateValue(shape, forKey: node.output) == nil else {
                throw VisemeError(.badData, "Two tensors are called '\(node.output)'.")
            }
        }
        for output in outputs {
            let declared = output.shape.map { axis in if case .fixed(let length) = axis { length } else { 1 } }
            guard let shape = shapes[output.name] else {
                throw VisemeError(.badData, "Nothing makes the output '\(output.name)'.")
            }
            guard shape == declared else {
                throw VisemeError(
                    .badData,
                    "The output '\(output.name)' is declared as \(output.shapeText), the graph makes \(shape).")
            }
        }
        return shapes
    }
}

extension ModelGraph.Node {
    var title: String { "The operation '\(name)' (\(operation.label))" }

    private func require(_ condition: Bool, _ wanted: String, _ given: [[Int]]) throws {
        guard condition else {
            throw VisemeError(
                .badData, "\(title) wants \(wanted), it has \(given.map(\.description).joined(separator: " ")).")
        }
    }

    func shape(of given: [[Int]]) throws -> [Int] {
        switch operation {
        case .convolution(let convolution):
            return try shape(of: convolution, given)
        case .batchNormalisation:
            try require(
                given.count == 5 && given[0].count >= 2 && given[1...].allSatisfy { $0 == [given[0][1]] },
                "[B,C,H,W] and four times [C]", given)
            return given[0]
        case .relu, .sigmoid, .quantise:
            try require(given.count == 1, "one tensor", given)
            return given[0]
        case .add:
            try require(given.count == 2 && given[0] == given[1], "two tensors of one shape", given)
            return given[0]
        case .concatenate:
            try require(
                given.count >= 2
                    && given.allSatisfy { $0.count == 4 && $0[0] == given[0][0] && $0[2...] == given[0][2...] },
                "tensors [B,C,H,W] that differ in C only", given)
            return [given[0][0], given.reduce(0) { $0 + $1[1] }, given[0][2], given[0][3]]
        case .upsample:
            try require(
                given.count == 1 && given[0].count == 4 && given[0].allSatisfy { $0 <= 1 << 16 }, "[B,C,H,W]", given)
            return [given[0][0], given[0][1], 2 * given[0][2], 2 * given[0][3]]
        case .reshape(let axes):
            let count = StoredTensor.count(of: axes)
            try require(
                given.count == 1 && !given[0].isEmpty && count != nil
                    && count == StoredTensor.count(of: Array(given[0].dropFirst())),
                "as many elements as [B] + \(axes)", given)
            return [given[0][0]] + axes
        }
    }

    private func shape(of convolution: Convolution, _ given: [[Int]]) throws -> [Int] {
        try require(
            (2...3).contains(given.count) && given[0].count == 4 && given[1].count == 4
                && given[1].allSatisfy { $0 > 0 },
            "[B,C,H,W], weights [O,C/groups,h,w] and perhaps a bias [O]", given)
        let (x, weight) = (given[0], given[1])
        try require(
            convolution.strides.count == 2 && convolution.strides.allSatisfy { (1...64).contains($0) }
                && convolution.padding.count == 4 && convolution.padding.allSatisfy { (0...64).contains($0) }
                && convolution.groups >= 1,
            "strides and padding of at most 64 and at least one group, it says \(convolution)", given)
        try require(
            x[1] % convolution.groups == 0 && weight[1] == x[1] / convolution.groups
                && weight[0] % convolution.groups == 0,
            "weights for \(x[1]) channels in \(convolution.groups) groups", given)
        if given.count == 3 { try require(given[2] == [weight[0]], "a bias [\(weight[0])]", given) }
        var size: [Int] = []
        for axis in 0..<2 {
            let padded = x[2 + axis] + convolution.padding[axis] + convolution.padding[2 + axis]
            try require(padded >= weight[2 + axis], "at least \(weight[2 + axis]) rows and columns", given)
            size.append((padded - weight[2 + axis]) / convolution.strides[axis] + 1)
        }
        return [x[0], weight[0]] + size
    }
}

extension ModelGraph {
    /// Multiplications of the convolutions in one run with a batch of one.
    ///
    /// - Throws: `.badData` when the graph is not sound, or has too many to be counted.
    public func multiplications() throws -> Int {
        let shapes = try shapes()
        var count = WorkCount()
        for node in nodes { try count.add(node.multiplications(shapes)) }
        return count.total
    }
}

extension ModelGraph.Node {
    /// The factors of a convolution's multiplications: what it makes, and the values of one filter. Empty for other operations.
    func multiplications(_ shapes: [String: [Int]]) -> [Int] {
        guard case .convolution = operation, let made = shapes[output], let kernel = shapes[inputs[1]] else {
            return []
        }
        return made + kernel.dropFirst()
    }
}
