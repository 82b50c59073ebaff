import Foundation
import Viseme

extension PickleMachine {
    /// One instruction but STOP.
    mutating func execute(_ operation: PickleOpcode) throws {
        switch operation {
        case .proto:
            let version = try byte()
            guard version <= 5 else {
                throw bytes.unsupported(
                    "is a pickle of protocol \(version), at most 5 is known", hint: "Save it with an older protocol.")
            }
        case .frame: _ = try number(UInt64.self)
        case .stop: break
        case .mark: marks.append(stack.count)
        case .pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
        case .popMark: _ = try popToMark()
        case .dup: push(try top())
        case .memoize: try remember(memo.count + sparseMemo.count)
        case .put: try remember(index(decimalLine()))
        case .binPut: try remember(Int(byte()))
        case .longBinPut: try remember(Int(number(UInt32.self)))
        case .get: try recall(index(decimalLine()))
        case .binGet: try recall(Int(byte()))
        case .longBinGet: try recall(Int(number(UInt32.self)))
        case .none, .newTrue, .newFalse, .int, .binInt, .binInt1, .binInt2, .long, .long1, .long4, .float, .binFloat,
            .string, .unicode, .binString, .shortBinString, .binUnicode, .shortBinUnicode, .binUnicode8, .binBytes,
            .shortBinBytes, .binBytes8, .byteArray8:
            push(try scalar(operation))
        case .emptyList, .emptyTuple, .emptyDict, .emptySet, .list, .tuple, .tuple1, .tuple2, .tuple3, .dict,
            .frozenSet:
            push(try container(operation))
        case .append: try extend(with: pop(1))
        case .appends, .addItems: try extend(with: popToMark())
        case .setItem: try assign(pop(2))
        case .setItems: try assign(popToMark())
        case .global, .instance, .object, .stackGlobal, .reduce, .newObject, .newObjectEx, .build, .persistentID,
            .binPersistentID, .extension1, .extension2, .extension4:
            try construct(operation)
        }
    }

    /// Numbers, texts, bytes.
    private mutating func scalar(_ operation: PickleOpcode) throws -> PickleValue {
        switch operation {
        case .newTrue: return .bool(true)
        case .newFalse: return .bool(false)
        case .int, .long: return try decimalLine()
        case .binInt: return .int(Int(try number(Int32.self)))
        case .binInt1: return .int(Int(try number(UInt8.self)))
        case .binInt2: return .int(Int(try number(UInt16.self)))
        case .long1: return try long(byte())
        case .long4: return try long(number(Int32.self))
        case .float:
            let line = try line()
            return line.count <= 40 ? Double(bytes.text(line.range)).map { .float($0) } ?? .bytes(line) : .bytes(line)
        case .binFloat: return .float(Double(bitPattern: try number(UInt64.self).byteSwapped))
        case .string:
            let line = try line()
            // Escapes stay as they are: names have none.
            guard line.count >= 2 else { throw bytes.damaged("a text before byte \(position) has no quotes") }
            return .text(PickleValue.Span(start: line.start + 1, count: line.count - 2))
        case .unicode: return .text(try line())
        case .shortBinString, .shortBinUnicode: return .text(try span(byte()))
        case .binString: return .text(try span(number(Int32.self)))
        case .binUnicode: return .text(try span(number(UInt32.self)))
        case .binUnicode8: return .text(try span(number(UInt64.self)))
        case .shortBinBytes: return .bytes(try span(byte()))
        case .binBytes: return .bytes(try span(number(UInt32.self)))
        case .binBytes8, .byteArray8: return .bytes(try span(number(UInt64.self)))
        default: return .nothing
        }
    }

    private mutating func container(_ operation: PickleOpcode) throws -> PickleValue {
        switch operation {
        case .emptyList: return graph.add(.list)
        case .emptyDict: return graph.add(.dict)
        case .emptySet: return graph.add(.set)
        case .list: return graph.add(.list, try popToMark())
        case .frozenSet: return graph.add(.set, try popToMark())
        case .tuple1: return graph.add(.tuple, try pop(1))
        case .tuple2: return graph.add(.tuple, try pop(2))
        case .tuple3: return graph.add(.tuple, try pop(3))
        case .dict:
            let items = try popToMark()
            guard items.count.isMultiple(of: 2) else {
                throw bytes.damaged("a dict before byte \(position) lacks a value")
            }
            return graph.add(.dict, items)
        case .tuple:
            let items = try popToMark()
            return items.isEmpty ? PickleGraph.emptyTuple : graph.add(.tuple, items)
        default: return PickleGraph.emptyTuple
        }
    }

    /// Adds to the list or set on the stack. What goes into an object that is not known here is left out.
    private mutating func extend(with items: [PickleValue]) throws {
        guard case .node(let node) = try top() else {
            throw bytes.damaged("something is appended to no list at byte \(position)")
        }
        switch graph.nodes[node].kind {
        case .list, .set: graph.append(items[...], to: node)
        case .object: break
        default: throw bytes.damaged("something is appended to no list at byte \(position)")
        }
    }

    /// Adds keys and values to the dict on the stack; an object that acts as a dict keeps them as its items.
    private mutating func assign(_ items: [PickleValue]) throws {
        guard case .node(let node) = try top(), items.count.isMultiple(of: 2) else {
            throw bytes.damaged("something is assigned in no dict at byte \(position)")
        }
        switch graph.nodes[node].kind {
        case .dict: graph.append(items[...], to: node)
        case .object:
            if graph.nodes[node].items.count < 4 { graph.set(graph.add(.dict), at: 3, of: node) }
            if case .node(let inner) = graph.nodes[node].items[3] { graph.append(items[...], to: inner) }
        default: throw bytes.damaged("something is assigned in no dict at byte \(position)")
        }
    }

    /// Names, calls and objects.
    private mutating func construct(_ operation: PickleOpcode) throws {
        switch operation {
        case .global: push(graph.add(.global, [.text(try line()), .text(try line())]))
        case .stackGlobal:
            let names = try pop(2)
            guard case .text = names[0], case .text = names[1] else {
                throw bytes.damaged("a name before byte \(position) is not text")
            }
            push(graph.add(.global, names))
        case .instance:
            let function = graph.add(.global, [.text(try line()), .text(try line())])
            push(try call(function, graph.add(.tuple, try popToMark())))
        case .object:
            let items = try popToMark()
            guard let function = items.first else {
                throw bytes.damaged("an object before byte \(position) has no class")
            }
            push(try call(function, graph.add(.tuple, Array(items.dropFirst()))))
        case .reduce, .newObject:
            let pair = try pop(2)
            push(try call(pair[0], pair[1], notes: operation == .reduce))
        case .newObjectEx:
            let triple = try pop(3)
            push(try call(triple[0], triple[1]))
        case .build:
            let state = try pop()
            if case .node(let node) = try top(), graph.nodes[node].kind == .object { graph.set(state, at: 2, of: node) }
        case .persistentID:
            _ = try line()
            push(.nothing)
        case .binPersistentID: push(persistent(try pop()))
        case .extension1: _ = try byte(); push(.nothing)
        case .extension2: _ = try number(UInt16.self); push(.nothing)
        default: _ = try number(UInt32.self); push(.nothing)
        }
    }

    /// What torch stores outside of the pickle: a storage, or (legacy files) a class beside its source text.
    private mutating func persistent(_ value: PickleValue) -> PickleValue {
        let items = graph.items(value)
        guard let kind = items.first, graph.kind(value) == .tuple else { return .nothing }
        if graph.isText(kind, "storage") { return graph.add(.storage, items) }
        return graph.isText(kind, "module") && items.count > 1 ? items[1] : .nothing
    }

    /// The allow-list: the functions whose meaning is known. Every other call becomes an object that names its function.
    private mutating func call(_ function: PickleValue, _ arguments: PickleValue, notes: Bool = true) throws
        -> PickleValue
    {
        let name = graph.globalName(function) ?? ""
        let items = graph.kind(arguments) == .tuple ? graph.items(arguments) : []
        switch name {
        case "collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict":
            return graph.add(.dict, try pairs(items.first))
        case "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor": return graph.add(.tensor, items)
        case "torch._utils._rebuild_tensor_v3": return graph.add(.typedTensor, items)
        case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
            return items.first ?? .nothing
        case "torch._tensor._rebuild_from_type_v2":  // function, class, arguments, state: attributes set on a tensor
            guard items.count > 2, graph.globalName(items[0]) != name else { break }
            return try call(items[0], items[2], notes: notes)
        case "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_qtensor":
            return graph.add(.strangeTensor, [function])
        default:
            if name.hasPrefix("torch."), name.contains("._rebuild_") { return graph.add(.strangeTensor, [function]) }
            if notes, !Self.isExpected(name) { graph.note(call: name.isEmpty ? "something made at run time" : name) }
        }
        return graph.add(.object, [function, arguments])
    }

    /// Pairs given to a dict's initialiser, flattened; each file may copy as many as it has bytes.
    private mutating func pairs(_ value: PickleValue?) throws -> [PickleValue] {
        guard let value, graph.kind(value) == .list else { return [] }
        let pairs = graph.items(value)
        copied += pairs.count
        guard copied <= bytes.count else { throw bytes.damaged("one list fills more dicts than the file can mean") }
        return pairs.flatMap { pair in
            let items = graph.items(pair)
            return items.count == 2 ? items : []
        }
    }

    /// Calls that ordinary checkpoints and whole networks ask for: not worth a remark.
    private static func isExpected(_ name: String) -> Bool {
        let families = [
            "torch._utils.", "torch._tensor.", "torch.nn.", "torch.optim.", "torch.storage.", "collections.",
            "numpy.core.multiarray.", "numpy._core.multiarray.", "__torch__.",
        ]
        let names = [
            "torch.Size", "torch.device", "numpy.dtype", "builtins.set", "__builtin__.set", "builtins.frozenset",
            "__builtin__.frozenset", "_codecs.encode", "copy_reg._reconstructor", "copyreg._reconstructor",
            "pathlib.PosixPath", "argparse.Namespace",
        ]
        return names.contains(name) || families.contains { name.hasPrefix($0) }
    }
}
