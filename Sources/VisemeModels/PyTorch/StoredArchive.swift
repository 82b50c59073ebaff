import Foundation
import Viseme

/// A ZIP archive whose entries are stored, not compressed: what `torch.save` writes.
///
/// The central directory is the truth: the local headers of such files carry no lengths (they use data descriptors).
struct StoredArchive {
    /// One file of the archive.
    struct Entry {
        let name: String
        /// Where its bytes lie in the archive.
        let range: Range<Int>
        let sum: UInt32
    }

    let bytes: CheckpointBytes
    /// All entries but folders, in the directory's order.
    let entries: [Entry]
    private let positions: [String: Int]

    /// Whether some bytes begin as an archive does.
    static func begins(_ bytes: CheckpointBytes) -> Bool {
        (try? bytes.integer(UInt32.self, at: 0)) == 0x0403_4B50  // a file too short begins as nothing
    }

    /// Reads the directory.
    init(_ bytes: CheckpointBytes) throws {
        let directory = try Self.directory(of: bytes)
        var entries: [Entry] = []
        var positions: [String: Int] = [:]
        var offset = directory.offset
        var total = 0
        for _ in 0..<directory.entries {
            let (entry, next) = try Self.entry(at: offset, in: bytes)
            offset = next
            if entry.name.hasSuffix("/"), entry.range.isEmpty { continue }
            guard positions.updateValue(entries.count, forKey: entry.name) == nil else {
                throw bytes.damaged("the archive names '\(entry.name)' twice")
            }
            total += entry.range.count
            guard total <= bytes.count else {
                throw bytes.damaged("the entries of the archive lie on top of each other")
            }
            entries.append(entry)
        }
        self.bytes = bytes
        self.entries = entries
        self.positions = positions
    }

    /// The entry of that name.
    subscript(name: String) -> Entry? { positions[name].map { entries[$0] } }

    /// An entry's bytes, after their check sum was found right.
    ///
    /// torch itself does not check it on loading, so a damaged weight goes unseen there. It can be told not to compute
    /// it, and then writes 0: such an entry is believed.
    func contents(_ entry: Entry, checkingSum: Bool = true) throws -> Data {
        let part = bytes.part(entry.range)
        guard !checkingSum || entry.sum == 0 || entry.sum == CRC32.sum(part) else {
            throw bytes.damaged("the check sum of its entry '\(entry.name)' is wrong")
        }
        return part
    }

    // MARK: - The directory

    /// Finds the end record, which a comment of up to 65 535 bytes may follow.
    private static func directory(of bytes: CheckpointBytes) throws -> (offset: Int, entries: Int) {
        let end = bytes.data.withUnsafeBytes { raw -> Int? in
            let last = raw.count - 22
            return stride(from: last, through: max(0, last - 65_535), by: -1).first { at in
                raw[at] == 0x50
                    && UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt32.self)) == 0x0605_4B50
                    && Int(raw[at + 20]) + Int(raw[at + 21]) << 8 == last - at
            }
        }
        guard let end else {
            throw bytes.damaged("it begins as a ZIP archive and has no directory at its end: it was cut short")
        }
        var entries = try Int(bytes.integer(UInt16.self, at: end + 10))
        var size = try Int(bytes.integer(UInt32.self, at: end + 12))
        var offset = try Int(bytes.integer(UInt32.self, at: end + 16))
        if end >= 20, try bytes.integer(UInt32.self, at: end - 20) == 0x0706_4B50 {  // above 4 GB, or 65 535 entries
            let record = try clamp(bytes.integer(UInt64.self, at: end - 12))
            guard try bytes.integer(UInt32.self, at: record) == 0x0606_4B50 else {
                throw bytes.damaged("its 64-bit end record is missing")
            }
            // `record` is below the file's length now, so the sums below cannot overflow.
            entries = try clamp(bytes.integer(UInt64.self, at: record + 32))
            size = try clamp(bytes.integer(UInt64.self, at: record + 40))
            offset = try clamp(bytes.integer(UInt64.self, at: record + 48))
        }
        let directory = try bytes.range(at: offset, count: size)
        guard entries <= directory.count / 46 else {
            throw bytes.damaged("its directory of \(directory.count) bytes is said to name \(entries) entries")
        }
        return (offset, entries)
    }

    private static func clamp(_ value: UInt64) -> Int { Int(clamping: value) }

    /// One record of the directory, and where the next one begins.
    private static func entry(at offset: Int, in bytes: CheckpointBytes) throws -> (Entry, next: Int) {
        guard try bytes.integer(UInt32.self, at: offset) == 0x0201_4B50 else {
            throw bytes.damaged("its directory ends at byte \(offset), before the last entry")
        }
        _ = try bytes.range(at: offset, count: 46)
        let flags = try bytes.integer(UInt16.self, at: offset + 8)
        let method = try bytes.integer(UInt16.self, at: offset + 10)
        let sum = try bytes.integer(UInt32.self, at: offset + 16)
        let nameRange = try bytes.range(at: offset + 46, count: Int(bytes.integer(UInt16.self, at: offset + 28)))
        let extra = try bytes.range(at: nameRange.upperBound, count: Int(bytes.integer(UInt16.self, at: offset + 30)))
        let comment = try Int(bytes.integer(UInt16.self, at: offset + 32))
        let name = bytes.text(nameRange)
        if name.contains("/code/"), method != 0 {
            throw bytes.unsupported(
                "is a TorchScript program ('\(name)'), not a checkpoint",
                hint: "Save the weights: torch.save(torch.jit.load(path).state_dict(), 'network.pth')")
        }
        guard method == 0, flags & 1 == 0 else {
            throw bytes.unsupported(
                "holds '\(name)' \(flags & 1 == 0 ? "compressed (method \(method))" : "encrypted")",
                hint: "torch.save stores entries as they are. Unpack the archive, or save the checkpoint again.")
        }
        // In this order, and only those that do not fit into 32 bits, stand in the extra field 1.
        var wide = try [20, 24, 42].map { try Int(bytes.integer(UInt32.self, at: offset + $0)) }
        var field = extra.lowerBound
        while field + 4 <= extra.upperBound {
            let length = try Int(bytes.integer(UInt16.self, at: field + 2))
            if try bytes.integer(UInt16.self, at: field) == 1 {
                var next = field + 4
                for i in [1, 0, 2] where wide[i] == 0xFFFF_FFFF {
                    wide[i] = try clamp(bytes.integer(UInt64.self, at: next))
                    next += 8
                }
                break
            }
            field += 4 + length
        }
        guard wide[0] == wide[1] else {
            throw bytes.damaged("its entry '\(name)' is stored in \(wide[0]) bytes and is said to have \(wide[1])")
        }
        guard try bytes.integer(UInt32.self, at: wide[2]) == 0x0403_4B50 else {
            throw bytes.damaged("its entry '\(name)' is not where the directory says")
        }
        let header = try bytes.range(at: wide[2], count: 30).upperBound
        let names = try Int(bytes.integer(UInt16.self, at: header - 4))
        let extras = try Int(bytes.integer(UInt16.self, at: header - 2))
        let range = try bytes.range(at: header + names + extras, count: wide[0])
        return (Entry(name: name, range: range, sum: sum), extra.upperBound + comment)
    }
}
