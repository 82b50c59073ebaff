import Foundation
import Viseme

/// A small tensor that a graph computes with while it works out its own shapes: `Shape`, `Slice`, `Concat` and their like.
struct ONNXNumbers {
    /// Tensors of at most this many elements count as small.
    static let limit = 64

    var shape: [Int]
    var values: [Double]
    var isInteger: Bool

    init(shape: [Int], values: [Double], isInteger: Bool) {
        self.shape = shape
        self.values = values
        self.isInteger = isInteger
    }

    init(_ integers: [Int]) { self.init(shape: [integers.count], values: integers.map(Self.value), isInteger: true) }

    /// An integer as a number. "To the end" is the largest of 64 bits, which no number of 53 is: it becomes the largest of those.
    static func value(_ integer: Int) -> Double { Double(max(-(1 << 53), min(1 << 53, integer))) }

    /// The values as integers; nil when one is not.
    var integers: [Int]? {
        let whole = values.compactMap { Int(exactly: $0) }
        return whole.count == values.count ? whole : nil
    }

    /// The result of an operation on small tensors, or nil when this is none that Viseme knows.
    static func evaluate(_ node: Onnx_NodeProto, _ inputs: [ONNXNumbers?]) throws -> ONNXNumbers? {
        func input(_ index: Int) throws -> ONNXNumbers {
            guard index < inputs.count, let numbers = inputs[index] else {
                throw VisemeError(
                    .unsupported, "The operation '\(node.name)' (\(node.opType)) needs a constant as input \(index).")
            }
            return numbers
        }
        switch node.opType {
        case "Add", "Sub", "Mul", "Div":
            return try arithmetic(node.opType, input(0), input(1), node)
        case "Floor", "Ceil":
            var x = try input(0)
            x.values = x.values.map { node.opType == "Floor" ? $0.rounded(.down) : $0.rounded(.up) }
            return x
        case "Cast":
            var x = try input(0)
            x.isInteger = [6, 7].contains(node.integer("to") ?? 0)
            if x.isInteger { x.values = x.values.map { $0.rounded(.towardZero) } }
            return x
        case "Identity": return try input(0)
        case "Unsqueeze", "Squeeze", "Reshape": return try reshaped(node, input(0), inputs.count > 1 ? inputs[1] : nil)
        case "Concat":
            let parts = try inputs.indices.map(input)
            guard (node.integer("axis") ?? 0) == 0, parts.allSatisfy({ $0.shape.count == 1 }) else { return nil }
            let values = parts.flatMap(\.values)
            guard values.count <= limit else { return nil }
            return ONNXNumbers(shape: [values.count], values: values, isInteger: parts.allSatisfy(\.isInteger))
        case "Gather":
            let (x, indices) = (try input(0), try input(1))
            guard (node.integer("axis") ?? 0) == 0, x.shape.count == 1, let whole = indices.integers else { return nil }
            let picked = whole.map { $0 < 0 ? $0 + x.values.count : $0 }
            guard picked.allSatisfy(x.values.indices.contains) else { return nil }
            return ONNXNumbers(shape: indices.shape, values: picked.map { x.values[$0] }, isInteger: x.isInteger)
        case "Slice": return try sliced(node, inputs, input(0))
        case "Transpose":
            let x = try input(0)
            guard x.shape.count == 2, (node.integers("perm") ?? [1, 0]) == [1, 0] else {
                return x.shape.count == 1 ? x : nil
            }
            let (rows, columns) = (x.shape[0], x.shape[1])
            let values = (0..<columns).flatMap { c in (0..<rows).map { x.values[$0 * columns + c] } }
            return ONNXNumbers(shape: [columns, rows], values: values, isInteger: x.isInteger)
        case "ConstantOfShape":
            guard let shape = try input(0).integers, let count = StoredTensor.count(of: shape), count <= limit else {
                return nil
            }
            let fill = try node.attribute("value").map { try ONNXNumbers($0.t) } ?? nil
            return ONNXNumbers(
                shape: shape, values: Array(repeating: fill?.values.first ?? 0, count: count),
                isInteger: fill?.isInteger ?? false)
        default: return nil
        }
    }

    private static func arithmetic(
        _ operation: String, _ a: ONNXNumbers, _ b: ONNXNumbers, _ node: Onnx_NodeProto
    ) throws -> ONNXNumbers? {
        let count = max(a.values.count, b.values.count)
        guard [a, b].allSatisfy({ $0.values.count == count || $0.values.count == 1 }), count > 0 else { return nil }
        let isInteger = a.isInteger && b.isInteger
        let values = (0..<count).map { i in
            let (x, y) = (a.values[a.values.count == 1 ? 0 : i], b.values[b.values.count == 1 ? 0 : i])
            return switch operation {
            case "Add": x + y
            case "Sub": x - y
            case "Mul": x * y
            default: isInteger ? (x / y).rounded(.towardZero) : x / y
            }
        }
        guard values.allSatisfy({ $0.isFinite && abs($0) < 1e15 }) else { return nil }
        return ONNXNumbers(shape: a.values.count == count ? a.shape : b.shape, values: values, isInteger: isInteger)
    }

    private static func reshaped(_ node: Onnx_NodeProto, _ x: ONNXNumbers, _ argument: ONNXNumbers?) throws
        -> ONNXNumbers?
    {
        guard let shape = try node.newShape(x.shape, argument?.integers),
            StoredTensor.count(of: shape) == x.values.count
        else { return nil }
        return ONNXNumbers(shape: shape, values: x.values, isInteger: x.isInteger)
    }

    private static func sliced(_ node: Onnx_NodeProto, _ inputs: [ONNXNumbers?], _ x: ONNXNumbers) throws
        -> ONNXNumbers?
    {
        func part(_ index: Int, _ attribute: String) -> [Int]? {
            index < inputs.count ? inputs[index]?.integers : node.integers(attribute)
        }
        guard let start = part(1, "starts")?.first, let end = part(2, "ends")?.first, !x.shape.isEmpty,
            [0, -x.shape.count].contains(part(3, "axes")?.first ?? 0), part(1, "starts")?.count == 1
        else { return nil }
        let step = part(4, "steps")?.first ?? 1
        let (length, each) = (x.shape[0], x.shape[0] == 0 ? 0 : x.values.count / x.shape[0])
        guard step != 0, abs(step) <= limit, length <= limit else { return nil }
        func clamp(_ value: Int, _ low: Int, _ high: Int) -> Int {
            min(max(value < 0 ? (value < -length ? -1 : value + length) : value, low), high)
        }
        let rows =
            step > 0
            ? Array(stride(from: clamp(start, 0, length), to: clamp(end, 0, length), by: step))
            : Array(
                stride(from: clamp(start, 0, length - 1), to: end < -length ? -1 : clamp(end, -1, length - 1), by: step)
            )
        return ONNXNumbers(
            shape: [rows.count] + x.shape.dropFirst(), values: rows.flatMap { x.values[$0 * each..<($0 + 1) * each] },
            isInteger: x.isInteger)
    }
}

extension ONNXNumbers {
    /// A small tensor of a file; nil when it is large or of another type.
    init?(_ tensor: Onnx_TensorProto) throws {
        // What cannot be read is reported when it is used.
        guard let stored = try? StoredTensor(tensor), stored.count <= Self.limit else { return nil }
        self.init(
            shape: stored.shape,
            values: stored.type == .int64
                ? stored.bytes.withUnsafeBytes { raw in
                    (0..<stored.count).map {
                        Self.value(
                            Int(Int64(littleEndian: raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self))))
                    }
                } : stored.floats().map(Double.init), isInteger: !stored.type.isFloatingPoint)
    }
}

extension StoredTensor {
    /// A tensor as an ONNX file has it: raw bytes, or numbers one by one.
    init(_ tensor: Onnx_TensorProto) throws {
        guard tensor.dataLocation != .external, tensor.externalData.isEmpty else {
            throw VisemeError(
                .unsupported, "The weight '\(tensor.name)' is stored in a file beside the model.",
                hint: "viseme avatar import puts it inside; so does onnx.save_model with save_as_external_data=False.")
        }
        let shape = tensor.dims.map { Int($0) }
        let types: [Int32: ElementType] = [
            1: .float32, 2: .uint8, 3: .int8, 5: .int16, 6: .int32, 7: .int64, 9: .bool, 10: .float16, 11: .float64,
            16: .bfloat16,
        ]
        guard let type = types[tensor.dataType] else {
            throw VisemeError(
                .unsupported,
                "The tensor '\(tensor.name)' has ONNX element type \(tensor.dataType), which Viseme does not read.")
        }
        func bytes<T>(_ values: [T]) -> Data { values.withUnsafeBytes { Data($0) } }
        let data =
            switch type {
            case _ where tensor.hasRawData: tensor.rawData
            case .float32: bytes(tensor.floatData.map(\.bitPattern.littleEndian))
            case .float64: bytes(tensor.doubleData.map(\.bitPattern.littleEndian))
            case .int64: bytes(tensor.int64Data.map(\.littleEndian))
            case .int32: bytes(tensor.int32Data.map(\.littleEndian))
            case .int16, .float16, .bfloat16:
                bytes(tensor.int32Data.map { UInt16(truncatingIfNeeded: $0).littleEndian })
            case .int8, .uint8, .bool: bytes(tensor.int32Data.map { UInt8(truncatingIfNeeded: $0) })
            }
        try self.init(name: tensor.name, shape: shape, type: type, bytes: data)
    }
}

extension Onnx_NodeProto {
    func attribute(_ name: String) -> Onnx_AttributeProto? { attribute.first { $0.name == name } }
    func integer(_ name: String) -> Int? { attribute(name).map { Int($0.i) } }
    func integers(_ name: String) -> [Int]? { attribute(name).map { $0.ints.map { Int($0) } } }
    func text(_ name: String) -> String? { attribute(name).map { String(decoding: $0.s, as: UTF8.self) } }
    func real(_ name: String) -> Float? { attribute(name)?.f }

    /// What `Reshape`, `Flatten`, `Squeeze` and `Unsqueeze` make of a shape; nil when they cannot.
    func newShape(_ shape: [Int], _ argument: [Int]?) throws -> [Int]? {
        switch opType {
        case "Reshape":
            guard var target = argument ?? integers("shape"), target.count <= 8,
                let count = StoredTensor.count(of: shape)
            else { return nil }
            for (i, length) in target.enumerated() where length == 0 {
                guard i < shape.count else { return nil }
                target[i] = shape[i]
            }
            if let open = target.firstIndex(of: -1) {
                target[open] = 1
                guard let known = StoredTensor.count(of: target), known > 0, count % known == 0 else { return nil }
                target[open] = count / known
            }
            return target
        case "Flatten":
            let axis = integer("axis") ?? 1
            guard axis >= 0, axis <= shape.count, let head = StoredTensor.count(of: Array(shape[..<axis])),
                let tail = StoredTensor.count(of: Array(shape[axis...]))
            else { return nil }
            return [head, tail]
        case "Squeeze":
            let axes = (argument ?? integers("axes")).map { Set($0.map { $0 < 0 ? $0 + shape.count : $0 }) }
            guard axes?.allSatisfy({ shape.indices.contains($0) && shape[$0] == 1 }) ?? true else { return nil }
            return shape.enumerated().filter { i, length in axes.map { !$0.contains(i) } ?? (length != 1) }.map(
                \.element)
        case "Unsqueeze":
            guard let axes = argument ?? integers("axes"), axes.count <= 4 else { return nil }
            var result = shape
            for axis in axes.map({ $0 < 0 ? $0 + shape.count + axes.count : $0 }).sorted() {
                guard axis >= 0, axis <= result.count else { return nil }
                result.insert(1, at: axis)
            }
            return result
        default: return nil
        }
    }
}
