import Foundation
import Viseme

/// Where a checkpoint keeps the elements of its tensors, and how a tensor of the pickle is read from there.
struct CheckpointStorages {
    let bytes: CheckpointBytes
    /// Each storage's bytes by its key; they share the file's memory.
    let parts: [String: Data]

    /// An element type by torch's name of the storage class or of the type; nil when it is not one that is read here.
    static func elementType(_ name: String) -> ElementType? {
        switch name {
        case "FloatStorage", "float32": .float32
        case "DoubleStorage", "float64": .float64
        case "HalfStorage", "float16": .float16
        case "BFloat16Storage", "bfloat16": .bfloat16
        case "LongStorage", "int64": .int64
        case "IntStorage", "int32": .int32
        case "ShortStorage", "int16": .int16
        case "CharStorage", "int8": .int8
        case "ByteStorage", "uint8": .uint8
        case "BoolStorage", "bool": .bool
        default: nil
        }
    }

    /// `torch.FloatStorage` → `FloatStorage`; nil for names outside torch.
    static func torchName(_ global: String?) -> String? {
        guard let global else { return nil }
        for module in ["torch.cuda.", "torch.storage.", "torch."] where global.hasPrefix(module) {
            return String(global.dropFirst(module.count))
        }
        return nil
    }

    /// A tensor of the pickle, contiguous and row-major.
    func tensor(
        _ value: PickleValue, named name: String, in graph: PickleGraph, budget: inout CheckpointBudget
    ) throws -> StoredTensor {
        let shown = PickleGraph.printable(name)
        let arguments = graph.items(value)
        guard graph.kind(value) != .strangeTensor else {
            let kind = PickleGraph.printable(graph.globalName(arguments.first) ?? "?")
            throw bytes.unsupported(
                "holds '\(shown)' in a form that is not read here (\(kind))",
                hint: "Save dense float or integer tensors: sparse, quantised and meta tensors are not.")
        }
        guard arguments.count >= 4, graph.kind(arguments[0]) == .storage else {
            throw bytes.unsupported(
                "holds '\(shown)' without its elements beside it",
                hint: "It was written with pickle. Use torch.save(model.state_dict(), path).")
        }
        guard case .int(let offset) = arguments[1], let shape = graph.integers(arguments[2]),
            let strides = graph.integers(arguments[3]), shape.count == strides.count, shape.count <= 64
        else { throw bytes.damaged("the shape of '\(shown)' cannot be read") }

        let isTyped = graph.kind(value) == .typedTensor
        let typeName: String?
        if isTyped, arguments.count > 6 {
            typeName = Self.torchName(graph.globalName(arguments[6]))
        } else {
            let items = graph.items(arguments[0])
            typeName = items.count > 1 ? Self.torchName(graph.globalName(items[1])) : nil
        }
        guard let typeName, let type = Self.elementType(typeName) else {
            throw bytes.unsupported(
                "holds '\(shown)' of the type \(PickleGraph.printable(typeName ?? "?"))",
                hint: "Read are float64/32/16, bfloat16, int64/32/16/8, uint8 and bool. Convert it before saving.")
        }
        if let metadata = arguments.dropFirst(isTyped ? 7 : 6).first,
            graph.entry("neg", of: metadata) == .bool(true) || graph.entry("conj", of: metadata) == .bool(true)
        {
            throw bytes.unsupported(
                "holds '\(shown)' as a view that negates", hint: "Save v.resolve_neg().resolve_conj() instead.")
        }
        let view = StridedView(offset: offset, shape: shape, strides: strides)
        guard let extent = view.extent, let count = StoredTensor.count(of: shape) else {
            throw bytes.damaged("'\(shown)' of shape \(shape) and strides \(strides) is not a tensor")
        }
        let storage = try storage(arguments[0], of: shown, in: graph, itemBytes: isTyped ? 1 : type.byteCount)
        let (needed, overflow) = extent.multipliedReportingOverflow(by: type.byteCount)
        guard !overflow, needed <= storage.count else {
            throw bytes.damaged(
                "'\(shown)' of shape \(shape), strides \(strides), offset \(offset) needs \(extent) elements, its "
                    + "storage has \(storage.count / type.byteCount)")
        }
        let (size, overflowSize) = count.multipliedReportingOverflow(by: type.byteCount)
        try budget.spend(
            overflowSize || size > .max - 1024 ? .max : size + 128 + 8 * shape.count, on: "'\(shown)' of shape \(shape)"
        )
        return try StoredTensor(
            name: name, shape: shape, type: type, bytes: view.gather(from: storage, itemBytes: type.byteCount))
    }

    /// The bytes of a storage: "storage", class, key, location, length, and in old files a part of another storage.
    private func storage(
        _ value: PickleValue, of tensor: String, in graph: PickleGraph, itemBytes: Int
    ) throws -> Data {
        let items = graph.items(value)
        guard items.count >= 5, case .int(let length) = items[4] else {
            throw bytes.damaged("the storage of '\(tensor)' cannot be read")
        }
        guard let key = graph.text(items[2]), let part = parts[key] else {
            throw bytes.damaged("the storage of '\(tensor)' is missing")
        }
        var start = 0
        var count = length
        if items.count > 5, let slice = viewSlice(items[5], in: graph) {
            (start, count) = slice
        }
        let (lower, overflowLower) = start.multipliedReportingOverflow(by: itemBytes)
        let (size, overflowSize) = count.multipliedReportingOverflow(by: itemBytes)
        guard !overflowLower, !overflowSize, lower >= 0, size >= 0, lower <= part.count, size <= part.count - lower
        else {
            throw bytes.damaged(
                "the storage of '\(tensor)' is said to have \(count) elements, \(part.count) bytes are there")
        }
        return part[part.startIndex + lower..<part.startIndex + lower + size]
    }

    /// The view of an old file: (key of the view, offset, length).
    private func viewSlice(_ value: PickleValue, in graph: PickleGraph) -> (Int, Int)? {
        let items = graph.items(value)
        guard graph.kind(value) == .tuple, items.count == 3, case .int(let offset) = items[1],
            case .int(let length) = items[2]
        else { return nil }
        return (offset, length)
    }
}
