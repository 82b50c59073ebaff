import Foundation
import Viseme

/// A file's bytes by offset, every access checked: offsets and lengths come from the file itself.
struct CheckpointBytes: Sendable {
    /// The file's name, for errors.
    let name: String
    /// The bytes; the indices may start anywhere.
    let data: Data

    init(_ data: Data, name: String) {
        self.data = data
        self.name = name
    }

    var count: Int { data.count }

    /// `offset..<offset + count`, if the file is that long.
    func range(at offset: Int, count: Int) throws -> Range<Int> {
        guard offset >= 0, count >= 0, offset <= data.count, count <= data.count - offset else {
            throw damaged("byte \(offset) is said to be followed by \(count) more, the file has \(data.count)")
        }
        return offset..<offset + count
    }

    /// A little-endian number.
    func integer<T: FixedWidthInteger>(_: T.Type, at offset: Int) throws -> T {
        let range = try range(at: offset, count: MemoryLayout<T>.size)
        return data.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: range.lowerBound, as: T.self)) }
    }

    /// A part, sharing the memory. The range must have come from `range(at:count:)`.
    func part(_ range: Range<Int>) -> Data {
        data[data.startIndex + range.lowerBound..<data.startIndex + range.upperBound]
    }

    /// A part as text; wrong UTF-8 is mended, names are compared later.
    func text(_ range: Range<Int>) -> String { String(decoding: part(range), as: UTF8.self) }

    /// The error for anything that cannot be what a writer of checkpoints meant.
    func damaged(_ what: String) -> VisemeError {
        VisemeError(.badData, "'\(name)' is damaged: \(what).", hint: "Fetch the file again, or export it again.")
    }

    /// The error for something well-formed that is not read here.
    func unsupported(_ what: String, hint: String) -> VisemeError {
        VisemeError(.unsupported, "'\(name)' \(what).", hint: hint)
    }
}
