import Foundation
import Viseme

/// Reads a tar archive of plain files as its bytes come. It does no I/O, and takes no name that could lead out of a folder.
///
/// Tar, because a pack's files do not shrink: nothing is inflated, so an archive cannot become larger than it is, and it is read
/// while it arrives. Links, devices, sparse files and long names in records of their own are refused; hidden files are left out.
struct TarReader {
    /// What the bytes were.
    enum Event: Equatable {
        /// A file begins: its path, checked.
        case file(String)
        /// Bytes of the file.
        case bytes(Data)
        /// The file is complete.
        case end
    }

    private enum Part {
        case header
        /// Bytes of a file; nil is a record that is left out, with what it holds where that must be looked at.
        case content(isFile: Bool, isAttributes: Bool)
        case padding
        case finished
    }

    private static let block = 512
    /// Files at most, folders of a path, bytes of a name, bytes of a record with attributes.
    private static let mostFiles = 20_000, depth = 8, nameBytes = 200, attributeBytes = 1 << 16
    /// Attributes of the POSIX format that would change what the header says.
    private static let meaningful = ["path", "linkpath", "size", "hdrcharset"]

    private var part = Part.header
    private var pending = Data()
    private var left = 0
    private var padding = 0
    private var attributes = Data()
    private var files = 0
    private var names: Set<String> = []

    /// Takes the next bytes.
    ///
    /// - Throws: `.badData` naming what is wrong with the archive; `.unsupported` for one that is compressed.
    mutating func take(_ data: Data) throws -> [Event] {
        var events: [Event] = []
        var rest = data[...]
        while !rest.isEmpty {
            switch part {
            case .header:
                let missing = Self.block - pending.count
                pending += rest.prefix(missing)
                rest = rest.dropFirst(missing)
                if files == 0, pending.count >= 4 { try refuseOtherFormats() }
                guard pending.count == Self.block else { continue }
                let header = [UInt8](pending)
                pending = Data()
                try begin(header, &events)
            case .content(let isFile, let isAttributes):
                let piece = rest.prefix(left)
                rest = rest.dropFirst(left)
                left -= piece.count
                if isFile { events.append(.bytes(Data(piece))) }
                if isAttributes { attributes += piece }
                guard left == 0 else { continue }
                if isFile { events.append(.end) }
                if isAttributes { try checkAttributes() }
                part = padding > 0 ? .padding : .header
            case .padding:
                let skipped = min(padding, rest.count)
                rest = rest.dropFirst(skipped)
                padding -= skipped
                if padding == 0 { part = .header }
            case .finished:
                guard rest.allSatisfy({ $0 == 0 }) else { throw Self.wrong("has bytes behind its end") }
                rest = rest.suffix(0)
            }
        }
        return events
    }

    /// Ends the archive.
    ///
    /// - Throws: `.badData` when it was cut off or has no file.
    func finish() throws {
        guard case .finished = part else { throw Self.wrong("was cut off: it has no end") }
        guard files > 0 else { throw Self.wrong("has no file") }
    }

    private func refuseOtherFormats() throws {
        let head = [UInt8](pending.prefix(4))
        let isCompressed = [[0x1F, 0x8B], [0x42, 0x5A], [0x28, 0xB5], [0xFD, 0x37], [0x50, 0x4B]].contains {
            head.starts(with: $0 as [UInt8])
        }
        guard !isCompressed else {
            throw VisemeError(
                .unsupported, "The archive is compressed or a ZIP file, expected a plain tar archive",
                hint: "tar --format=ustar -cf - me.avatar | curl --data-binary @- …")
        }
    }

    private mutating func begin(_ header: [UInt8], _ events: inout [Event]) throws {
        if header.allSatisfy({ $0 == 0 }) {
            part = .finished
            return
        }
        var sum = 0
        for (k, byte) in header.enumerated() { sum += (148..<156).contains(k) ? 32 : Int(byte) }
        guard let stated = Self.number(header[148..<156]), stated == sum else {
            throw Self.wrong("is no tar archive, or is damaged: the check sum of a header is wrong")
        }
        guard let size = Self.number(header[124..<136]) else {
            throw Self.wrong("has a file of 8 GB or more, or a size that is no number")
        }
        let name = try Self.name(header)
        left = size
        padding = (Self.block - size % Self.block) % Self.block
        switch header[156] {
        case 0, UInt8(ascii: "0"):
            guard let path = try Self.path(name) else { return skip() }
            files += 1
            guard files <= Self.mostFiles else { throw Self.wrong("has more than \(Self.mostFiles) files") }
            // On some disks names differ by more than their case.
            guard names.insert(path.lowercased()).inserted else { throw Self.wrong("has '\(path)' twice") }
            events.append(.file(path))
            part = .content(isFile: true, isAttributes: false)
            if size == 0 {
                events.append(.end)
                part = .header
            }
        case UInt8(ascii: "5"):
            _ = try Self.path(name)
            guard size == 0 else { throw Self.wrong("has a folder '\(name.prefix(80))' with content") }
            part = .header
        case UInt8(ascii: "x"), UInt8(ascii: "g"):
            guard size <= Self.attributeBytes else { throw Self.wrong("has a record of attributes of \(size) bytes") }
            attributes = Data()
            part = size > 0 ? .content(isFile: false, isAttributes: true) : .header
        case UInt8(ascii: "1"), UInt8(ascii: "2"):
            throw Self.wrong("has a link '\(name.prefix(80))'; a pack has plain files only")
        case UInt8(ascii: "L"), UInt8(ascii: "K"):
            throw Self.wrong("has names longer than 100 bytes in GNU records")
        case let kind:
            throw Self.wrong(
                "has '\(name.prefix(80))' of the kind \(kind); a pack has plain files and folders only")
        }
    }

    /// Leaves a file out.
    private mutating func skip() {
        part = left > 0 ? .content(isFile: false, isAttributes: false) : .header
    }

    /// Records `LENGTH KEY=VALUE`, one a line: those with times and owners mean nothing here.
    private func checkAttributes() throws {
        var rest = attributes[...]
        while !rest.isEmpty {
            guard let space = rest.firstIndex(of: UInt8(ascii: " ")),
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
                length > space - rest.startIndex + 1, length <= rest.count
            else { throw Self.wrong("has attributes that are damaged") }
            let record = rest.prefix(length)[(space + 1)...]
            let key = String(decoding: record.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            guard !Self.meaningful.contains(key), !key.hasPrefix("GNU.sparse") else {
                throw Self.wrong("gives '\(key)' in a record of attributes")
            }
            rest = rest.dropFirst(length)
        }
    }

    /// Octal digits between spaces and zeros; nil for anything else.
    private static func number(_ field: ArraySlice<UInt8>) -> Int? {
        let digits = field.drop { $0 == 32 }.prefix { $0 != 0 && $0 != 32 }
        guard !digits.isEmpty, digits.count <= 11 else { return nil }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
            value = value * 8 + Int(digit - UInt8(ascii: "0"))
        }
        return value
    }

    private static func name(_ header: [UInt8]) throws -> String {
        func text(_ range: Range<Int>) throws -> String {
            let bytes = header[range].prefix { $0 != 0 }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw wrong("has a name that is not UTF-8")
            }
            return text
        }
        let isPOSIX = Array(header[257..<263]) == Array("ustar\0".utf8)
        let prefix = isPOSIX ? try text(345..<500) : ""
        let name = try text(0..<100)
        return prefix.isEmpty ? name : "\(prefix)/\(name)"
    }

    /// The path inside the pack's folder; nil for what is left out.
    ///
    /// - Throws: `.badData` for a path that leads anywhere else.
    static func path(_ name: String) throws -> String? {
        let shown = name.prefix(80).replacing("\n", with: " ")
        guard !name.hasPrefix("/"), !name.contains("\\"),
            name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 })
        else { throw wrong("has the path '\(shown)', which is not relative or has signs that no path needs") }
        let parts = name.split(separator: "/").filter { $0 != "." }
        guard !parts.contains("..") else { throw wrong("has the path '\(shown)', which leads out of the pack") }
        guard parts.count <= depth, parts.allSatisfy({ $0.utf8.count <= nameBytes }) else {
            throw wrong("has the path '\(shown)', which is longer or deeper than a pack needs")
        }
        guard !parts.isEmpty, !parts.contains(where: { $0.hasPrefix(".") }) else { return nil }
        return parts.joined(separator: "/")
    }

    private static func wrong(_ what: String) -> VisemeError {
        VisemeError(
            .badData, "The archive \(what)", hint: "Make it with: tar --format=ustar -cf me.tar me.avatar")
    }
}
