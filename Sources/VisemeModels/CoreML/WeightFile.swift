import Foundation
import Viseme

/// `weights/weight.bin` of a Core ML package, little-endian.
///
/// | bytes | what |
/// |---|---|
/// | 0–63 | u32 count, u32 version 2, zeros |
/// | every entry, at a multiple of 64 | u32 0xDEADBEEF, u32 type, u64 size, u64 offset of the data, u64 padding bits, 32 zeros; then the data |
///
/// A blob's `offset` in the program is the offset of its 64-byte entry.
struct WeightFile {
    static let sentinel: UInt32 = 0xDEAD_BEEF
    static let alignment = 64
    static let typeCodes: [(UInt32, ElementType)] = [
        (1, .float16), (2, .float32), (3, .uint8), (4, .int8), (5, .bfloat16), (6, .int16), (14, .int32),
    ]

    let data: Data
    /// Number of entries that the header states.
    let count: Int

    init(_ data: Data) throws {
        self.data = data.startIndex == 0 ? data : Data(data)
        guard data.count >= 64 else {
            throw VisemeError(
                .badData, "weight.bin has \(data.count) bytes, its header alone has 64.",
                hint: "The package is incomplete: copy it again.")
        }
        count = Int(Self.load(UInt32.self, self.data, 0))
        let version = Self.load(UInt32.self, self.data, 4)
        guard version == 2 else {
            throw VisemeError(.unsupported, "weight.bin has version \(version), this Viseme reads version 2.")
        }
    }

    private static func load<T: FixedWidthInteger>(_: T.Type, _ data: Data, _ offset: Int) -> T {
        data.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    /// The entry at `offset`: type and bytes.
    func entry(at offset: UInt64) throws -> (type: ElementType, bytes: Data) {
        func damaged(_ what: String) -> VisemeError {
            VisemeError(
                .badData, "weight.bin, entry at \(offset): \(what).",
                hint: "The package is damaged or incomplete: copy or export it again.")
        }
        guard offset % 64 == 0, let start = Int(exactly: offset), start >= 64, start <= data.count - 64 else {
            throw damaged("it lies outside the file's \(data.count) bytes, or not on a multiple of 64")
        }
        guard Self.load(UInt32.self, data, start) == Self.sentinel else {
            throw damaged("it does not begin with 0xDEADBEEF")
        }
        let code = Self.load(UInt32.self, data, start + 4)
        let size = Self.load(UInt64.self, data, start + 8)
        let at = Self.load(UInt64.self, data, start + 16)
        guard let type = Self.typeCodes.first(where: { $0.0 == code })?.1 else {
            throw VisemeError(
                .unsupported, "weight.bin, entry at \(offset): element type \(code), which Viseme does not read.")
        }
        guard let length = Int(exactly: size), let first = Int(exactly: at), first >= 64, first <= data.count,
            length <= data.count - first,
            first % 64 == 0
        else { throw damaged("its \(size) bytes at \(at) lie outside the file's \(data.count) bytes") }
        return (type, data.subdata(in: first..<first + length))
    }
}

/// Collects weights and writes them as `weights/weight.bin`.
struct WeightFileWriter {
    private var body = Data()
    private var count: UInt32 = 0

    /// Adds an entry and gives the offset that the program names it by.
    mutating func append(_ tensor: StoredTensor) -> UInt64 {
        while body.count % WeightFile.alignment != 0 { body.append(0) }
        let offset = 64 + body.count
        let code = WeightFile.typeCodes.first { $0.1 == tensor.type }?.0 ?? 0
        func append<T: FixedWidthInteger>(_ value: T) {
            withUnsafeBytes(of: value.littleEndian) { body.append(contentsOf: $0) }
        }
        append(WeightFile.sentinel)
        append(code)
        append(UInt64(tensor.bytes.count))
        append(UInt64(offset + 64))
        body.append(Data(count: 40))
        body.append(tensor.bytes)
        count += 1
        return UInt64(offset)
    }

    /// The whole file; it ends with the last byte of the last entry.
    var data: Data {
        var header = Data()
        withUnsafeBytes(of: count.littleEndian) { header.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt32(2).littleEndian) { header.append(contentsOf: $0) }
        header.append(Data(count: 56))
        return header + body
    }
}
