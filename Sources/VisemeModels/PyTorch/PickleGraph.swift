import Foundation

/// A value on the pickle machine's stack. Sixteen bytes: everything larger is a node of the graph or stays in the file.
enum PickleValue: Hashable, Sendable {
    /// Where a text or some bytes stand in the pickle.
    struct Span: Hashable, Sendable {
        let start: UInt32
        let count: UInt32
        var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
    }

    case nothing
    case bool(Bool)
    case int(Int)
    case float(Double)
    case text(Span)
    /// Bytes, and integers that do not fit into 64 bits.
    case bytes(Span)
    case node(Int)
}

/// What a pickle describes: nodes that refer to each other by number.
///
/// Numbers instead of references, so that a cycle leaks nothing and a value nested a million deep is freed in a loop.
/// An operation of the pickle makes at most one node, and a node costs less than 64 bytes for each of the operations that
/// filled it.
struct PickleGraph {
    /// What a node is.
    enum Kind: Sendable {
        case list, tuple, set
        /// Keys and values in turn.
        case dict
        /// Module and name.
        case global
        /// A function or class that was never called: it, its arguments, its state, its items.
        case object
        /// The tuple that names a storage: "storage", class, key, location, length.
        case storage
        /// The arguments of `_rebuild_tensor_v2`: storage, offset, shape, strides, gradient, hooks, metadata.
        case tensor
        /// The arguments of `_rebuild_tensor_v3`: as above with the element type before the metadata.
        case typedTensor
        /// A tensor of a kind that is not read here (sparse, quantised, …): its function.
        case strangeTensor
    }

    /// A kind and the values in it.
    struct Node {
        var kind: Kind
        var items: [PickleValue]
    }

    let bytes: CheckpointBytes
    private(set) var nodes: [Node] = [Node(kind: .tuple, items: [])]
    /// Functions that the pickle asks to be called and that no checkpoint needs, in order, at most sixteen.
    private(set) var foreignCalls: [String] = []

    /// The empty tuple is in every pickle thousands of times.
    static let emptyTuple = PickleValue.node(0)

    init(_ bytes: CheckpointBytes) { self.bytes = bytes }

    mutating func add(_ kind: Kind, _ items: [PickleValue] = []) -> PickleValue {
        nodes.append(Node(kind: kind, items: items))
        return .node(nodes.count - 1)
    }

    mutating func append(_ items: ArraySlice<PickleValue>, to node: Int) { nodes[node].items += items }

    mutating func set(_ value: PickleValue, at index: Int, of node: Int) {
        while nodes[node].items.count <= index { nodes[node].items.append(.nothing) }
        nodes[node].items[index] = value
    }

    mutating func note(call: String) {
        if foreignCalls.count < 16, !foreignCalls.contains(call) { foreignCalls.append(call) }
    }

    // MARK: - Reading

    func kind(_ value: PickleValue) -> Kind? {
        guard case .node(let node) = value else { return nil }
        return nodes[node].kind
    }

    func items(_ value: PickleValue) -> [PickleValue] {
        guard case .node(let node) = value else { return [] }
        return nodes[node].items
    }

    func text(_ value: PickleValue?) -> String? {
        guard case .text(let span) = value else { return nil }
        return bytes.text(span.range)
    }

    /// Whether a value is that text, without making a String of it.
    func isText(_ value: PickleValue, _ text: String) -> Bool {
        guard case .text(let span) = value, Int(span.count) == text.utf8.count else { return false }
        return bytes.part(span.range).elementsEqual(text.utf8)
    }

    /// The value under a key of a dict; the last one counts, as in Python.
    func entry(_ key: String, of dict: PickleValue) -> PickleValue? {
        let items = items(dict)
        for i in stride(from: items.count - 2, through: 0, by: -2) where isText(items[i], key) { return items[i + 1] }
        return nil
    }

    /// The numbers of a tuple or list.
    func integers(_ value: PickleValue?) -> [Int]? {
        guard let value, kind(value) == .tuple || kind(value) == .list else { return nil }
        var numbers: [Int] = []
        for case .int(let number) in items(value) { numbers.append(number) }
        return numbers.count == items(value).count ? numbers : nil
    }

    /// `module.name` of a global, cut at 200 bytes a part.
    func globalName(_ value: PickleValue?) -> String? {
        guard let value, kind(value) == .global else { return nil }
        return items(value).map { part in
            guard case .text(let span) = part else { return "?" }
            let range = span.range
            return bytes.text(range.lowerBound..<min(range.upperBound, range.lowerBound + 200))
        }.joined(separator: ".")
    }

    /// A value in words, for errors.
    func describe(_ value: PickleValue) -> String {
        switch value {
        case .nothing: return "nothing (None)"
        case .bool, .int, .float: return "a number"
        case .text: return "a text"
        case .bytes: return "bytes"
        case .node(let node):
            let items = nodes[node].items
            switch nodes[node].kind {
            case .list: return "a list of \(items.count)"
            case .tuple: return "a tuple of \(items.count)"
            case .set: return "a set"
            case .global: return "the name \(Self.printable(globalName(value) ?? "?"))"
            case .object:
                return "an object of \(Self.printable(globalName(items.first) ?? "something made at run time"))"
            case .storage: return "a storage without a tensor"
            case .tensor, .typedTensor: return "a tensor"
            case .strangeTensor: return "a tensor by \(Self.printable(globalName(items.first) ?? "?"))"
            case .dict:
                let keys = stride(from: 0, to: min(items.count, 10), by: 2).compactMap { text(items[$0]) }
                let names = keys.map { "'\(Self.printable($0))'" } + (items.count > 10 ? ["…"] : [])
                return items.isEmpty
                    ? "an empty dict" : "a dict of \(items.count / 2) (\(names.joined(separator: ", ")))"
            }
        }
    }

    /// A text from a file as it may be shown: short and without control characters.
    static func printable(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(80).map { $0.properties.generalCategory == .control ? "?" : String($0) }
        return shown.joined() + (text.unicodeScalars.dropFirst(80).isEmpty ? "" : "…")
    }
}
