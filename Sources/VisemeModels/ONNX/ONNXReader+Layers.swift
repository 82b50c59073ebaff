import Viseme

extension ONNXReader.Reading {
    mutating func readLayer(_ node: Onnx_NodeProto, _ data: String) throws {
        let output = node.output[0]
        let shape = shapes[data] ?? []
        switch node.opType {
        case "Conv":
            guard node.input.count >= 2 else { throw VisemeError(.badData, "\(title(node)) has no weights.") }
            guard (3...4).contains(shape.count) else {
                throw VisemeError(
                    .unsupported, "\(title(node)) is a convolution over \(shape.count - 2) axes, expected 1 or 2.")
            }
            let inputs = try [data] + node.input[1...].filter { !$0.isEmpty }.map { try weight($0, of: node) }
            try append(.convolution(convolution(node, axes: shape.count - 2)), node, inputs)
        case "Gemm":
            guard node.input.count >= 2, node.real("alpha") ?? 1 == 1, node.real("beta") ?? 1 == 1,
                node.integer("transA") ?? 0 == 0, node.integer("transB") == 1
            else {
                throw VisemeError(.unsupported, "\(title(node)) is not a product with weights [out, in].")
            }
            let inputs = try [data] + node.input[1...].filter { !$0.isEmpty }.map { try weight($0, of: node) }
            try append(.linear, node, inputs)
        case "BatchNormalization":
            guard node.input.count == 5, node.integer("training_mode") ?? 0 == 0 else {
                throw VisemeError(.unsupported, "\(title(node)) is not in evaluation form.")
            }
            let inputs = try [data] + node.input[1...].map { try weight($0, of: node) }
            try append(.batchNormalisation(epsilon: node.real("epsilon") ?? 1e-5), node, inputs)
        case "Softmax":
            guard axis(node, "axis", of: shape, default: -1) == 1 else {
                throw VisemeError(.unsupported, "\(title(node)) is not along the channels.")
            }
            try append(.softmax, node, [data])
        case "Clip": try clip(node, data)
        case "Concat":
            guard axis(node, "axis", of: shape, default: 1) == 1 else {
                throw VisemeError(
                    .unsupported, "\(title(node)) joins along axis \(node.integer("axis") ?? 1), expected 1.")
            }
            let inputs = node.input.map { resolve($0) }
            if let stored = inputs.first(where: {
                shapes[$0] == nil && (initializers[$0] != nil || numbers[$0] != nil)
            }) {
                throw VisemeError(
                    .unsupported, "\(title(node)) reads the stored '\(stored)', which these networks never do.")
            }
            try append(.concatenate, node, inputs)
        case "Resize": try resize(node, data)
        case "DepthToSpace":
            guard node.text("mode") == "CRD" else {
                throw VisemeError(
                    .unsupported,
                    "\(title(node)) takes its channels in the order '\(node.text("mode") ?? "DCR")', expected 'CRD'.")
            }
            try append(.pixelShuffle(node.integer("blocksize") ?? 0), node, [data])
        case "Transpose": try append(.transpose(node.integers("perm") ?? shape.indices.reversed()), node, [data])
        case "Slice": try slice(node, data)
        case "Split": try split(node, data)
        case "Gather": try pick(node, data)
        case "Reshape", "Flatten", "Squeeze", "Unsqueeze":
            let argument = node.input.count > 1 ? try number(resolve(node.input[1]))?.integers : nil
            guard let new = try node.newShape(shape, argument), new.first == shape.first else {
                throw VisemeError(
                    .unsupported,
                    "\(title(node)) does not keep the batch as the first axis, or its shape is not known.")
            }
            if new == shape {
                alias[output] = data
            } else {
                try append(.reshape(Array(new.dropFirst())), node, [data])
            }
        case "Identity", "Dropout": alias[output] = data
        case "Cast":
            guard [1, 10].contains(node.integer("to") ?? 0) else {
                throw VisemeError(
                    .unsupported,
                    "\(title(node)) casts to ONNX type \(node.integer("to") ?? 0), expected float32 or float16.")
            }
            alias[output] = data
        case "Pad":
            let argument = node.input.count > 1 ? try number(resolve(node.input[1]))?.integers : nil
            let pads = node.integers("pads") ?? argument
            guard pads?.allSatisfy({ $0 == 0 }) == true else {
                throw VisemeError(
                    .unsupported,
                    "\(title(node)) pads by \(pads?.description ?? "an unknown amount"), expected nothing.")
            }
            alias[output] = data
        default:
            guard let known = Operation.named.first(where: { $0.onnx == node.opType })?.operation else {
                throw unknown(node)
            }
            try append(known, node, [data])
        }
    }

    /// An axis that an attribute names, counted from the front; nil when there is none such.
    private func axis(_ node: Onnx_NodeProto, _ name: String, of shape: [Int], default fallback: Int) -> Int? {
        let axis = node.integer(name) ?? fallback
        let counted = axis < 0 ? axis + shape.count : axis
        return shape.indices.contains(counted) ? counted : nil
    }

    private func convolution(_ node: Onnx_NodeProto, axes: Int) throws -> Convolution {
        let none = [Int](repeating: 0, count: 2 * axes)
        let ones = [Int](repeating: 1, count: axes)
        let automatic = node.text("auto_pad") ?? "NOTSET"
        guard automatic.isEmpty || ["NOTSET", "VALID"].contains(automatic) else {
            throw VisemeError(
                .unsupported, "\(title(node)) pads automatically (\(automatic)), which these networks never do.")
        }
        return Convolution(
            strides: node.integers("strides") ?? ones,
            padding: automatic == "VALID" ? none : node.integers("pads") ?? none,
            dilations: node.integers("dilations") ?? ones, groups: node.integer("group") ?? 1)
    }

    // Two tensors

    /// The two tensors of a pairwise operation.
    mutating func operands(_ node: Onnx_NodeProto, _ operation: Operation) throws -> [String] {
        let names = node.input.map { resolve($0) }
        guard names.count == 2, let made = names.first(where: isMade) else {
            throw VisemeError(.unsupported, "\(title(node)) has \(names.count) inputs, expected 2.")
        }
        return ordered(try names.map { isMade($0) ? $0 : try operand($0, of: node, beside: made) }, operation)
    }

    private mutating func operand(_ name: String, of node: Onnx_NodeProto, beside made: String) throws -> String {
        let name = try weight(name, of: node)
        try suit(name, beside: made)
        return name
    }

    /// Bounds are stored numbers; either may be absent.
    private mutating func clip(_ node: Onnx_NodeProto, _ data: String) throws {
        let bounds = try [(1, Operation.maximum), (2, .minimum)].filter {
            node.input.count > $0.0 && !node.input[$0.0].isEmpty
        }.map { ($0.1, [try operand(node.input[$0.0], of: node, beside: data)]) }
        guard !bounds.isEmpty, node.attribute("min") == nil, node.attribute("max") == nil else {
            throw VisemeError(.unsupported, "\(title(node)) has no stored bounds.")
        }
        try append(bounds, name: name(node), data, to: node.output[0])
    }

    // Parts of tensors

    private mutating func slice(_ node: Onnx_NodeProto, _ data: String) throws {
        let shape = shapes[data] ?? []
        var given: [[Int]?] = []
        for index in 1...4 {
            let name = index < node.input.count ? node.input[index] : ""
            given.append(name.isEmpty ? nil : try number(resolve(name))?.integers)
        }
        let starts = given[0] ?? node.integers("starts")
        let ends = given[1] ?? node.integers("ends")
        guard let start = starts?.first, starts?.count == 1, let end = ends?.first, ends?.count == 1,
            given[3] ?? [1] == [1], let axis = (given[2] ?? node.integers("axes") ?? [0]).first,
            shape.indices.contains(axis < 0 ? axis + shape.count : axis)
        else {
            throw VisemeError(
                .unsupported, "\(title(node)) is not a part of one axis, with bounds that are known and steps of 1.")
        }
        let along = axis < 0 ? axis + shape.count : axis
        let length = shape[along]
        func place(_ value: Int) -> Int { min(max(value < 0 ? value + length : value, 0), length) }
        guard place(start) < place(end) else { throw VisemeError(.badData, "\(title(node)) leaves nothing.") }
        try appendPart(place(start)..<place(end), ofAxis: along, name: name(node), data, to: node.output[0])
    }

    private mutating func split(_ node: Onnx_NodeProto, _ data: String) throws {
        let shape = shapes[data] ?? []
        let stated = node.input.count > 1 ? try number(resolve(node.input[1]))?.integers : node.integers("split")
        guard let axis = axis(node, "axis", of: shape, default: 0) else {
            throw VisemeError(.unsupported, "\(title(node)) names an axis that '\(data)' does not have.")
        }
        let even = shape[axis] % node.output.count == 0 ? shape[axis] / node.output.count : 0
        let sizes = stated ?? Array(repeating: even, count: node.output.count)
        guard sizes.count == node.output.count, sizes.allSatisfy({ $0 >= 1 && $0 <= shape[axis] }),
            sizes.count <= shape[axis], sizes.reduce(0, +) == shape[axis]
        else {
            throw VisemeError(
                .unsupported, "\(title(node)) makes \(node.output.count) parts \(sizes) of \(shape[axis]) places.")
        }
        var start = 0
        for (index, (size, output)) in zip(sizes, node.output).enumerated() {
            try appendPart(
                start..<start + size, ofAxis: axis, name: "\(name(node)).\(index)", data, to: output)
            start += size
        }
    }

    /// `Gather` of one place.
    private mutating func pick(_ node: Onnx_NodeProto, _ data: String) throws {
        let shape = shapes[data] ?? []
        guard node.input.count == 2, let index = try number(resolve(node.input[1])), index.shape.count <= 1,
            let place = index.integers?.first, index.values.count == 1,
            let axis = axis(node, "axis", of: shape, default: 0), axis > 0, (-shape[axis]..<shape[axis]).contains(place)
        else {
            throw VisemeError(.unsupported, "\(title(node)) does not take one known place of an axis.")
        }
        let at = place < 0 ? place + shape[axis] : place
        try appendPart(
            at..<at + 1, ofAxis: axis, drops: index.shape.isEmpty, name: name(node), data, to: node.output[0])
    }

    private mutating func resize(_ node: Onnx_NodeProto, _ data: String) throws {
        let mode = node.text("mode") ?? "nearest"
        let coordinates = node.text("coordinate_transformation_mode") ?? "half_pixel"
        guard mode == "linear", coordinates == "align_corners" else {
            throw VisemeError(
                .unsupported,
                "\(title(node)) is \(mode) with \(coordinates), these networks upsample linearly with align_corners."
            )
        }
        var factors: [Double]?
        if let shape = shapes[data], node.input.count > 3, let sizes = try number(resolve(node.input[3])),
            sizes.values.count == shape.count
        {
            factors = zip(sizes.values, shape).map { $0 / Double($1) }
        } else if node.input.count > 2 {
            factors = try number(resolve(node.input[2]))?.values
        }
        guard factors == [1, 1, 2, 2] else {
            throw VisemeError(
                .unsupported,
                "\(title(node)) scales by \(factors?.description ?? "something unknown"), expected [1, 1, 2, 2].")
        }
        try append(.upsample, node, [data])
    }
}
