import Viseme

extension ONNXReader.Reading {
    mutating func quantise(_ node: Onnx_NodeProto, _ data: String) throws {
        let (steps, zeros, type) = try grid(node)
        guard shapes[data] != nil, steps.count == 1, type == .uint8, let zero = UInt8(exactly: zeros.first ?? 0)
        else {
            throw VisemeError(.unsupported, "\(title(node)) is not a uint8 grid with one step for the whole tensor.")
        }
        points[node.output[0]] = (data, Grid(step: steps[0], zero: zero))
    }

    mutating func dequantise(_ node: Onnx_NodeProto, _ data: String) throws {
        let (steps, zeros, _) = try grid(node)
        if let (source, grid) = points[data] {
            guard steps == [grid.step], zeros.allSatisfy({ $0 == Float(grid.zero) }) else {
                throw VisemeError(.unsupported, "\(title(node)) has another grid than what it reads.")
            }
            return try append(.quantise(grid), node, [source])
        }
        guard let tensor = initializers[data] else {
            throw VisemeError(
                .unsupported, "\(title(node)) reads '\(data)', which is neither a weight nor quantised.")
        }
        let stored = try StoredTensor(tensor)
        let channels = stored.shape.first ?? 0
        guard [.int8, .int32].contains(stored.type), channels > 0, zeros.allSatisfy({ $0 == 0 }),
            node.integer("axis") ?? 0 == 0 || steps.count == 1, [1, channels].contains(steps.count)
        else {
            throw VisemeError(
                .unsupported,
                "\(title(node)) has weights of type \(stored.type.rawValue) with \(steps.count) steps for \(channels) "
                    + "channels, expected int8 around 0.")
        }
        let all = steps.count == 1 ? [Float](repeating: steps[0], count: channels) : steps
        let each = stored.count / channels
        let output = node.output[0]
        var values = stored.floats()
        for channel in 0..<channels {
            for i in channel * each..<(channel + 1) * each { values[i] *= all[channel] }
        }
        weights[output] = StoredTensor(name: output, shape: stored.shape, floats: values)
        shapes[output] = stored.shape
        if stored.type == .int8 { weightSteps[output] = all }
        gridTensors.insert(data)
    }

    /// The steps and zeros that a node is given.
    private mutating func grid(_ node: Onnx_NodeProto) throws -> ([Float], [Float], ElementType) {
        func stored(_ index: Int) throws -> StoredTensor? {
            guard index < node.input.count, !node.input[index].isEmpty else { return nil }
            guard let tensor = initializers[resolve(node.input[index])] else {
                throw VisemeError(.unsupported, "\(title(node)) computes its grid instead of storing it.")
            }
            gridTensors.insert(tensor.name)
            return try StoredTensor(tensor)
        }
        let (steps, zeros) = (try stored(1)?.floats() ?? [], try stored(2))
        guard !steps.isEmpty, steps.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw VisemeError(.badData, "\(title(node)) has steps that are not positive numbers.")
        }
        return (steps, zeros?.floats() ?? [], zeros?.type ?? .uint8)
    }
}
