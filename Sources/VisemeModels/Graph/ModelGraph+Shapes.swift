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
            let shape = try node.shape(in: shapes)
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

    /// The shape of what it makes.
    ///
    /// - Parameter shapes: Of everything that was made before it.
    /// - Throws: `.badData` naming the node, what it wants and what it has.
    func shape(in shapes: [String: [Int]]) throws -> [Int] {
        let given = try inputs.map { name in
            guard let shape = shapes[name] else {
                throw VisemeError(.badData, "\(title) reads '\(name)', which nothing before it makes.")
            }
            return shape
        }
        let shape = try shape(of: given)
        guard let count = StoredTensor.count(of: shape), count <= 1 << 31 else {
            throw VisemeError(.badData, "\(title) would make \(shape).")
        }
        return shape
    }

    private func shape(of given: [[Int]]) throws -> [Int] {
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
        case .linear:
            try require(
                (2...3).contains(given.count) && given[0].count == 2 && given[1].count == 2
                    && given[1][1] == given[0][1] && given[2...].allSatisfy { $0 == [given[1][0]] },
                "[B,C], weights [O,C] and perhaps a bias [O]", given)
            return [given[0][0], given[1][0]]
        case .softmax:
            try require(given.count == 1 && given[0].count >= 2, "one tensor with channels", given)
            return given[0]
        case .add, .subtract, .multiply, .divide, .minimum, .maximum:
            let shape = given.count == 2 ? Self.shape(ofPair: given[0], given[1]) : nil
            try require(shape != nil, "two tensors of one shape, or with axes of length 1", given)
            return shape ?? []
        case .concatenate:
            try require(
                given.count >= 2
                    && given.allSatisfy {
                        $0.count >= 2 && $0.count == given[0].count && $0[0] == given[0][0]
                            && $0[2...] == given[0][2...]
                    }, "tensors [B,C,…] that differ in C only", given)
            return [given[0][0], given.reduce(0) { $0 + $1[1] }] + given[0][2...]
        case .upsample:
            try require(
                given.count == 1 && given[0].count == 4 && given[0].allSatisfy { $0 <= 1 << 16 }, "[B,C,H,W]", given)
            return [given[0][0], given[0][1], 2 * given[0][2], 2 * given[0][3]]
        case .pixelShuffle(let factor):
            try require(
                given.count == 1 && given[0].count == 4 && given[0].allSatisfy { $0 <= 1 << 16 }
                    && (2...64).contains(factor) && given[0][1] % (factor * factor) == 0,
                "[B,C·\(factor)²,H,W]", given)
            return [given[0][0], given[0][1] / (factor * factor), factor * given[0][2], factor * given[0][3]]
        case .transpose(let axes):
            try require(
                given.count == 1 && axes.first == 0 && axes.sorted() == Array(given[0].indices),
                "as many axes as \(axes), the batch first", given)
            return axes.map { given[0][$0] }
        case .slice(let axis, let range):
            try require(
                given.count == 1 && axis >= 1 && axis < given[0].count && range.lowerBound >= 0 && !range.isEmpty
                    && range.upperBound <= given[0][axis],
                "at least \(range.upperBound) places of axis \(axis)", given)
            return Array(given[0][..<axis]) + [range.count] + given[0][(axis + 1)...]
        case .reshape(let axes):
            let count = StoredTensor.count(of: axes)
            try require(
                given.count == 1 && !given[0].isEmpty && count != nil
                    && count == StoredTensor.count(of: Array(given[0].dropFirst())),
                "as many elements as [B] + \(axes)", given)
            return [given[0][0]] + axes
        }
    }

    /// What two tensors are together, place by place; nil where they do not fit. One without axes is a stored number.
    private static func shape(ofPair a: [Int], _ b: [Int]) -> [Int]? {
        if a.isEmpty || b.isEmpty { return a.isEmpty ? b : a }
        guard a.count == b.count, zip(a, b).allSatisfy({ $0 == $1 || $0 == 1 || $1 == 1 }) else { return nil }
        return zip(a, b).map { max($0, $1) }
    }

    private func shape(of convolution: Convolution, _ given: [[Int]]) throws -> [Int] {
        let axes = convolution.strides.count
        try require(
            (1...2).contains(axes) && (2...3).contains(given.count) && given[0].count == axes + 2
                && given[1].count == axes + 2 && given[1].allSatisfy { $0 > 0 },
            axes == 1
                ? "[B,C,T], weights [O,C/groups,t] and perhaps a bias [O]"
                : "[B,C,H,W], weights [O,C/groups,h,w] and perhaps a bias [O]", given)
        let (x, weight) = (given[0], given[1])
        try require(
            convolution.strides.allSatisfy { (1...64).contains($0) } && convolution.padding.count == 2 * axes
                && convolution.padding.allSatisfy { (0...64).contains($0) } && convolution.dilations.count == axes
                && convolution.dilations.allSatisfy { (1...64).contains($0) } && convolution.groups >= 1,
            "strides, dilations and padding of at most 64 and at least one group, it says \(convolution)", given)
        try require(
            x[1] % convolution.groups == 0 && weight[1] == x[1] / convolution.groups
                && weight[0] % convolution.groups == 0,
            "weights for \(x[1]) channels in \(convolution.groups) groups", given)
        if given.count == 3 { try require(given[2] == [weight[0]], "a bias [\(weight[0])]", given) }
        var size: [Int] = []
        for axis in 0..<axes {
            let padded = x[2 + axis] + convolution.padding[axis] + convolution.padding[axes + axis]
            let reach = convolution.dilations[axis] * (weight[2 + axis] - 1) + 1
            try require(padded >= reach, "at least \(reach) rows and columns", given)
            size.append((padded - reach) / convolution.strides[axis] + 1)
        }
        return [x[0], weight[0]] + size
    }
}

extension ModelGraph {
    /// Multiplications of the layers in one run with a batch of one.
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
    /// Whether it is a layer with weights: a convolution, or a matrix product.
    var isLayer: Bool {
        switch operation {
        case .convolution, .linear: true
        default: false
        }
    }

    /// The factors of a layer's multiplications: what it makes, and the values of one filter. Empty for other operations.
    func multiplications(_ shapes: [String: [Int]]) -> [Int] {
        guard isLayer, let made = shapes[output], let kernel = shapes[inputs[1]] else { return [] }
        return made + kernel.dropFirst()
    }
}
