import Viseme

extension MLProgramReader.Reading {
    mutating func read(_ operation: MILSpecOperation) throws {
        guard let output = operation.outputs.first?.name else {
            throw VisemeError(.badData, "\(title(operation)) has no output.")
        }
        switch operation.type {
        case "const":
            guard let value = operation.attributes["val"] else {
                throw VisemeError(.badData, "\(title(operation)) has no value.")
            }
            constants[output] = value
        case "cast":
            alias[output] = try data("x", operation)
            hasCasts = true
        case "identity": alias[output] = try data("x", operation)
        case "conv": try convolution(operation)
        case "linear":
            var inputs = try [data("x", operation), weight("weight", operation)]
            if operation.inputs["bias"] != nil { inputs.append(try weight("bias", operation)) }
            try append(.linear, operation, inputs)
        case "batch_norm":
            let parts = try ["gamma", "beta", "mean", "variance"].map { try weight($0, operation) }
            let epsilon = value("epsilon", operation)?.numbers?.first ?? 1e-5
            try append(.batchNormalisation(epsilon: Float(epsilon)), operation, [data("x", operation)] + parts)
        case "softmax":
            let x = try data("x", operation)
            guard try axis(operation, of: x, default: -1) == 1 else {
                throw VisemeError(.unsupported, "\(title(operation)) is not along the channels.")
            }
            try append(.softmax, operation, [x])
        case "clip": try clip(operation)
        case "concat", "stack": try join(operation)
        case "upsample_bilinear":
            guard value("scale_factor_height", operation)?.numbers == [2],
                value("scale_factor_width", operation)?.numbers == [2],
                value("align_corners", operation)?.numbers == [1]
            else {
                throw VisemeError(.unsupported, "\(title(operation)) is not twice the size with aligned corners.")
            }
            try append(.upsample, operation, [data("x", operation)])
        case "pixel_shuffle":
            let factor = try integers("upscale_factor", operation, default: []).first ?? 0
            try append(.pixelShuffle(factor), operation, [data("x", operation)])
        case "squeeze", "reshape", "expand_dims":
            guard case .tensorType(let type)? = operation.outputs[0].type.type else {
                throw VisemeError(.badData, "\(title(operation)) has no type.")
            }
            try append(.reshape(Array(try type.shape(output).dropFirst())), operation, [data("x", operation)])
        case "transpose":
            try append(.transpose(integers("perm", operation, default: [])), operation, [data("x", operation)])
        case "slice_by_index": try slice(operation)
        case "split": try split(operation)
        default:
            guard let known = Operation.named.first(where: { $0.coreML == operation.type })?.operation else {
                throw VisemeError(
                    .unsupported, "\(title(operation)) is not an operation of these networks.",
                    hint: "Viseme reads the networks of its families. viseme inspect lists what the package has.")
            }
            try append(known, operation, known.isPairwise ? pair(operation, known) : [data("x", operation)])
        }
    }

    /// The constant `axis`, counted from the front; nil when the tensor has none such.
    private func axis(_ operation: MILSpecOperation, of data: String, default fallback: Int) throws -> Int? {
        let axes = shapes[data] ?? []
        let axis = try integers("axis", operation, default: [fallback]).first ?? fallback
        let counted = axis < 0 ? axis + axes.count : axis
        return axes.indices.contains(counted) ? counted : nil
    }

    private mutating func convolution(_ operation: MILSpecOperation) throws {
        var inputs = try [data("x", operation), weight("weight", operation)]
        let axes = max(1, (shapes[inputs[1]]?.count ?? 4) - 2)
        let type = value("pad_type", operation)?.text ?? "valid"
        guard ["valid", "custom"].contains(type) else {
            throw VisemeError(
                .unsupported, "\(title(operation)) pads as '\(type)', which these networks never do.")
        }
        let none = [Int](repeating: 0, count: 2 * axes)
        let ones = [Int](repeating: 1, count: axes)
        let pad = type == "valid" ? none : try integers("pad", operation, default: none)
        guard pad.count == 2 * axes else {
            throw VisemeError(.badData, "\(title(operation)) has \(pad.count) paddings, expected \(2 * axes).")
        }
        if operation.inputs["bias"] != nil { inputs.append(try weight("bias", operation)) }
        // Core ML pads before and after each axis in turn; the graph before all axes, then after them.
        let made = Convolution(
            strides: try integers("strides", operation, default: ones),
            padding: [0, 1].flatMap { side in (0..<axes).map { pad[2 * $0 + side] } },
            dilations: try integers("dilations", operation, default: ones),
            groups: try integers("groups", operation, default: [1]).first ?? 1)
        try append(.convolution(made), operation, inputs)
    }

    // Two tensors

    /// The two tensors of a pairwise operation.
    private mutating func pair(_ operation: MILSpecOperation, _ known: Operation) throws -> [String] {
        let names = try ["x", "y"].map { try data($0, operation) }
        guard let made = names.first(where: isMade) else {
            throw VisemeError(.unsupported, "\(title(operation)) reads nothing that the network makes.")
        }
        for (key, name) in zip(["x", "y"], names) where constants[name] != nil {
            try suit(try weight(key, operation), beside: made)
        }
        return ordered(names, known)
    }

    /// A bound beyond all numbers, or the last of them, is none.
    private mutating func clip(_ operation: MILSpecOperation) throws {
        let x = try data("x", operation)
        var chain: [(Operation, [String])] = []
        for (key, bound) in [("alpha", Operation.maximum), ("beta", .minimum)] {
            let name = try weight(key, operation)
            try suit(name, beside: x)
            if weights[name]?.floats().allSatisfy({ abs($0) < .greatestFiniteMagnitude }) == true {
                chain.append((bound, [name]))
            } else {
                (weights[name], shapes[name]) = (nil, nil)
            }
        }
        try append(chain, operation, x)
    }

    // Parts of tensors

    /// `stack` puts tensors [B, …] beside each other on an axis of their own.
    private mutating func join(_ operation: MILSpecOperation) throws {
        let names = try (operation.inputs["values"]?.arguments ?? []).map { argument in
            guard case .name(let name)? = argument.binding else {
                throw VisemeError(.badData, "\(title(operation)) joins a constant.")
            }
            return resolve(name)
        }
        let isStack = operation.type == "stack"
        guard let first = names.first, operation.outputs.count == 1,
            isStack
                ? try integers("axis", operation, default: []) == [1]
                : try axis(operation, of: first, default: 0) == 1,
            try integers("interleave", operation, default: [0]) == [0]
        else { throw VisemeError(.unsupported, "\(title(operation)) does not join along the channels.") }
        guard isStack else { return try append(.concatenate, operation, names) }
        var parts: [String] = []
        for (index, name) in names.enumerated() {
            let part = "\(operation.outputs[0].name).\(index)"
            let shape = [1] + (shapes[name] ?? []).dropFirst()
            try append(.reshape(shape), name: "\(self.name(operation)).\(index)", [name], to: part)
            parts.append(part)
        }
        try append(.concatenate, operation, parts)
    }

    private mutating func slice(_ operation: MILSpecOperation) throws {
        let x = try data("x", operation)
        let shape = shapes[x] ?? []
        func list(_ key: String, _ fallback: Int) throws -> [Int] {
            try integers(key, operation, default: Array(repeating: fallback, count: shape.count))
        }
        let (begin, end) = (try integers("begin", operation, default: []), try integers("end", operation, default: []))
        let (fromFirst, toLast) = (try list("begin_mask", 0), try list("end_mask", 0))
        let (dropped, steps) = (try list("squeeze_mask", 0), try list("stride", 1))
        guard operation.outputs.count == 1, steps.allSatisfy({ $0 == 1 }),
            [begin, end, fromFirst, toLast, dropped, steps].allSatisfy({ $0.count == shape.count })
        else { throw VisemeError(.unsupported, "\(title(operation)) has unknown bounds, or steps other than 1.") }
        var parts: [(axis: Int, range: Range<Int>)] = []
        for (axis, length) in shape.enumerated() {
            func place(_ value: Int) -> Int { min(max(value < 0 ? value + length : value, 0), length) }
            let start = fromFirst[axis] != 0 ? 0 : place(begin[axis])
            let stop = dropped[axis] != 0 ? start + 1 : toLast[axis] != 0 ? length : place(end[axis])
            guard start < stop, stop <= length else {
                throw VisemeError(.badData, "\(title(operation)) leaves nothing of axis \(axis).")
            }
            if dropped[axis] != 0 || start..<stop != 0..<length { parts.append((axis, start..<stop)) }
        }
        guard parts.count <= 1 else {
            throw VisemeError(.unsupported, "\(title(operation)) takes parts of \(parts.count) axes, expected one.")
        }
        guard let part = parts.first else { return try append([], operation, x) }
        try appendPart(
            part.range, ofAxis: part.axis, drops: dropped[part.axis] != 0, name: name(operation), x,
            to: operation.outputs[0].name)
    }

    private mutating func split(_ operation: MILSpecOperation) throws {
        let x = try data("x", operation)
        let shape = shapes[x] ?? []
        let count = operation.outputs.count
        guard let axis = try axis(operation, of: x, default: 0) else {
            throw VisemeError(.badData, "\(title(operation)) names an axis that '\(x)' does not have.")
        }
        let even = [Int](repeating: shape[axis] / count, count: count)
        let sizes = try integers("split_sizes", operation, default: even)
        guard sizes.count == count, count <= shape[axis], sizes.allSatisfy({ $0 >= 1 && $0 <= shape[axis] }),
            sizes.reduce(0, +) == shape[axis]
        else {
            throw VisemeError(.badData, "\(title(operation)) makes parts \(sizes) of \(shape[axis]) places.")
        }
        var start = 0
        for (index, (size, output)) in zip(sizes, operation.outputs).enumerated() {
            try appendPart(
                start..<start + size, ofAxis: axis, name: "\(name(operation)).\(index)", x, to: output.name)
            start += size
        }
    }
}
