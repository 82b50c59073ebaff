import Foundation
import Viseme

/// Reads a pickle as data. **It executes nothing**: a function that the pickle wants called becomes a node that names it,
/// except for the handful that describe tensors and dicts, which are read here (`PickleMachine.call`).
///
/// Stack, memo and graph grow by at most one entry an operation, and there are at most four million operations: a
/// hundred times what the largest networks of this project need.
struct PickleMachine {
    /// What a pickle held.
    struct Result {
        let root: PickleValue
        let graph: PickleGraph
        /// The offset behind the pickle.
        let end: Int
    }

    static let operationLimit = 4_000_000

    let bytes: CheckpointBytes
    var position: Int
    var graph: PickleGraph
    var stack: [PickleValue] = []
    var marks: [Int] = []
    /// Writers number what they remember 0, 1, 2, …; any other number is legal and rare.
    var memo: [PickleValue] = []
    var sparseMemo: [Int: PickleValue] = [:]
    /// Entries copied from one node to another; bounded by the file's length.
    var copied = 0

    /// Reads the pickle that begins at an offset.
    static func read(_ bytes: CheckpointBytes, at offset: Int = 0) throws -> Result {
        var machine = PickleMachine(bytes: bytes, position: offset, graph: PickleGraph(bytes))
        for _ in 0..<operationLimit {
            let at = machine.position
            let code = try machine.byte()
            guard let operation = PickleOpcode(rawValue: code) else {
                throw bytes.damaged("the pickle instruction \(code) at byte \(at) does not exist")
            }
            if operation == .stop {
                return Result(root: try machine.pop(), graph: machine.graph, end: machine.position)
            }
            try machine.execute(operation)
        }
        throw bytes.unsupported(
            "describes more than \(operationLimit) things",
            hint: "Save the weights alone: torch.save(model.state_dict(), path).")
    }

    // MARK: - Reading arguments

    mutating func byte() throws -> UInt8 {
        guard position < bytes.count else {
            throw bytes.damaged("the pickle ends at byte \(position) before its end mark")
        }
        defer { position += 1 }
        return bytes.data[bytes.data.startIndex + position]
    }

    mutating func number<T: FixedWidthInteger>(_: T.Type) throws -> T {
        let value = try bytes.integer(T.self, at: position)
        position += MemoryLayout<T>.size
        return value
    }

    mutating func span(_ count: some FixedWidthInteger) throws -> PickleValue.Span {
        let range = try bytes.range(at: position, count: Int(clamping: count))
        guard let start = UInt32(exactly: range.lowerBound), let count = UInt32(exactly: range.count) else {
            throw bytes.unsupported("has texts beyond 4 GB", hint: "Save it with torch.save in its present form.")
        }
        position = range.upperBound
        return PickleValue.Span(start: start, count: count)
    }

    /// An argument of protocol 0: up to the next line feed, which is not part of it.
    mutating func line() throws -> PickleValue.Span {
        let rest = bytes.part(position..<bytes.count)
        guard let end = rest.firstIndex(of: 0x0A) else {
            throw bytes.damaged("the line that begins at byte \(position) does not end")
        }
        let span = try span(end - rest.startIndex)
        position += 1
        return span
    }

    /// A line that is a number, with the `L` of Python 2.
    mutating func decimalLine() throws -> PickleValue {
        let span = try line()
        guard span.count <= 24 else { return .bytes(span) }
        let text = bytes.text(span.range)
        if text == "00" || text == "01" { return .bool(text == "01") }
        return Int(text.hasSuffix("L") ? String(text.dropLast()) : text).map { .int($0) } ?? .bytes(span)
    }

    /// A little-endian integer in two's complement; more than eight bytes stay bytes.
    mutating func long(_ count: some FixedWidthInteger) throws -> PickleValue {
        let span = try span(count)
        guard span.count <= 8 else { return .bytes(span) }
        let part = bytes.part(span.range)
        var value: UInt64 = part.last.map { $0 & 0x80 != 0 ? ~0 : 0 } ?? 0
        for byte in part.reversed() { value = value << 8 | UInt64(byte) }
        return .int(Int(Int64(bitPattern: value)))
    }

    // MARK: - Stack and memo

    mutating func push(_ value: PickleValue) { stack.append(value) }

    mutating func pop() throws -> PickleValue {
        guard stack.count > marks.last ?? 0, let value = stack.popLast() else {
            throw bytes.damaged("the pickle takes more than it has at byte \(position)")
        }
        return value
    }

    func top() throws -> PickleValue {
        guard stack.count > marks.last ?? 0, let value = stack.last else {
            throw bytes.damaged("the pickle uses more than it has at byte \(position)")
        }
        return value
    }

    mutating func pop(_ count: Int) throws -> [PickleValue] {
        guard stack.count - count >= marks.last ?? 0 else {
            throw bytes.damaged("the pickle takes more than it has at byte \(position)")
        }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    mutating func popToMark() throws -> [PickleValue] {
        guard let mark = marks.popLast() else { throw bytes.damaged("the pickle lacks a mark at byte \(position)") }
        defer { stack.removeLast(stack.count - mark) }
        return Array(stack[mark...])
    }

    mutating func remember(_ index: Int) throws {
        let value = try top()
        if memo.indices.contains(index) {
            memo[index] = value
        } else if index == memo.count, sparseMemo.isEmpty {
            memo.append(value)
        } else {
            sparseMemo[index] = value
        }
    }

    mutating func recall(_ index: Int) throws {
        guard let value = memo.indices.contains(index) ? memo[index] : sparseMemo[index] else {
            throw bytes.damaged("the pickle recalls \(index), which it never remembered, at byte \(position)")
        }
        push(value)
    }

    func index(_ value: PickleValue) throws -> Int {
        guard case .int(let index) = value else {
            throw bytes.damaged("a memo index before byte \(position) is not a number")
        }
        return index
    }
}
