import Foundation
import Viseme

/// The header of a `.npy` file: a Python literal `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
struct NumPyHeader {
    private let bytes: CheckpointBytes
    private var rest: Data

    init(_ bytes: CheckpointBytes, _ range: Range<Int>) {
        self.bytes = bytes
        rest = bytes.part(range)
    }

    /// Reads the three entries, in any order, each once.
    mutating func read() throws -> (descriptor: String, isColumnMajor: Bool, shape: [Int]) {
        var descriptor: String?
        var isColumnMajor: Bool?
        var shape: [Int]?
        try expect("{")
        while !accept("}") {
            let key = try text()
            try expect(":")
            switch key {
            case "descr" where descriptor == nil:
                if let next = peek(), next != "'", next != "\"" {
                    throw bytes.unsupported(
                        "has elements of several fields", hint: "Save one field: numpy.save(path, array['field']).")
                }
                descriptor = try text()
            case "fortran_order" where isColumnMajor == nil: isColumnMajor = try boolean()
            case "shape" where shape == nil: shape = try tuple()
            default: throw damaged()
            }
            if !accept(",") {
                try expect("}")
                break
            }
        }
        guard peek() == nil, let descriptor, let isColumnMajor, let shape else { throw damaged() }
        return (descriptor, isColumnMajor, shape)
    }

    private func damaged() -> VisemeError { bytes.damaged("its header is not that of an array") }

    private mutating func skipSpace() {
        while let byte = rest.first, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { rest = rest.dropFirst() }
    }

    private mutating func peek() -> Character? {
        skipSpace()
        return rest.first.map { Character(UnicodeScalar($0)) }
    }

    private mutating func accept(_ character: Character) -> Bool {
        guard peek() == character else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func expect(_ character: Character) throws {
        guard accept(character) else { throw damaged() }
    }

    private mutating func text() throws -> String {
        let isDouble = accept("\"")
        if !isDouble { try expect("'") }
        guard let end = rest.firstIndex(of: isDouble ? 0x22 : 0x27) else { throw damaged() }
        defer { rest = rest[(end + 1)...] }
        return String(decoding: rest[..<end], as: UTF8.self)
    }

    private mutating func boolean() throws -> Bool {
        skipSpace()
        for (word, value) in [("True", true), ("False", false)] where rest.starts(with: word.utf8) {
            rest = rest.dropFirst(word.utf8.count)
            return value
        }
        throw damaged()
    }

    private mutating func tuple() throws -> [Int] {
        var axes: [Int] = []
        try expect("(")
        while !accept(")") {
            skipSpace()
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            guard digits.count <= 19, let length = Int(String(decoding: digits, as: UTF8.self)), axes.count < 64 else {
                throw damaged()
            }
            rest = rest.dropFirst(digits.count)
            _ = accept("L")  // Python 2 wrote long numbers so
            axes.append(length)
            if !accept(",") {
                try expect(")")
                break
            }
        }
        return axes
    }
}
