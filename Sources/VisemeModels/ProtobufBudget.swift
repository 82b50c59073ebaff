import Foundation
import Viseme

/// Looks through a protobuf file before it is decoded: two bytes of an empty message become hundreds in memory.
///
/// The schema is not needed: every field that carries a length may be a message and is looked into. Honest networks of
/// this family have some 40,000 short fields. With 262,144 of them, decoding takes **16 times the file and 100 MB** at most.
enum ProtobufBudget {
    /// Fields of fewer than 16 bytes that a file may have, on all levels together.
    static let shortFields = 1 << 18
    private static let short = 16
    /// The generated code goes no deeper either.
    private static let depth = 100

    /// Checks a file.
    ///
    /// - Throws: `.badData` for a file of more short fields.
    static func check(_ data: Data, name: String) throws {
        let found = data.withUnsafeBytes { bytes in
            var left = shortFields
            look(into: bytes, depth, &left)
            return left >= 0
        }
        guard found else {
            throw VisemeError(
                .badData, "'\(name)' has more than \(shortFields) tiny fields in its \(data.count) bytes.",
                hint: "No network of this family has: the file is damaged, or made to exhaust memory.")
        }
    }

    /// Goes through the fields of what may be a message, until it ends or proves to be none.
    private static func look(into bytes: UnsafeRawBufferPointer, _ depth: Int, _ left: inout Int) {
        var at = 0
        while at < bytes.count, left >= 0 {
            guard let tag = number(bytes, &at), tag >> 3 != 0 else { return }
            switch tag & 7 {
            case 0: guard number(bytes, &at) != nil else { return }
            case 1: at += 8
            case 5: at += 4
            case 2:
                guard let length = number(bytes, &at), length <= UInt64(bytes.count - at) else { return }
                if length < short { left -= 1 }
                let end = at + Int(length)
                if depth > 0, length > 1 { look(into: .init(rebasing: bytes[at..<end]), depth - 1, &left) }
                at = end
            default: return
            }
        }
    }

    /// A number of seven bits a byte.
    private static func number(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard at < bytes.count else { return nil }
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        return nil
    }
}
