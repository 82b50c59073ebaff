public import Foundation

/// What of a crop is drawn: 0 is the template's own pixel, 255 the drawn one, a number between them a mixture (the feather).
///
/// In a pack it is a binary PGM (P5) of 8 bits, as large as the crops.
public struct BlendMask: Sendable, Equatable {
    /// Width and height.
    public let size: PixelSize
    /// (height, width), 0…255.
    public let levels: [UInt8]
    /// The smallest rectangle with everything that is not 0: nothing outside of it is ever drawn.
    public let bounds: PixelArea

    /// Makes a mask of its levels.
    ///
    /// - Parameters:
    ///   - levels: (height, width) row-major.
    ///   - name: The file, for errors.
    /// - Throws: `.badData` when they are not as many as the size says, or all 0.
    public init(size: PixelSize, levels: [UInt8], name: String = "mask") throws {
        guard size.width > 0, size.height > 0, levels.count == size.count else {
            throw VisemeError(
                .badData, "The mask '\(name)' has \(levels.count) pixels, expected \(size).", hint: Self.hint(size))
        }
        var (left, top, right, bottom) = (size.width, size.height, 0, 0)
        for y in 0..<size.height {
            for x in 0..<size.width where levels[y * size.width + x] > 0 {
                (left, right) = (min(left, x), max(right, x + 1))
                (top, bottom) = (min(top, y), max(bottom, y + 1))
            }
        }
        guard left < right else {
            throw VisemeError(
                .badData, "The mask '\(name)' is 0 everywhere, expected the mouth in white: nothing would be drawn.",
                hint: Self.hint(size))
        }
        self.size = size
        self.levels = levels
        bounds = PixelArea(x: left, y: top, width: right - left, height: bottom - top)
    }

    /// Reads a mask.
    ///
    /// - Parameters:
    ///   - data: The file.
    ///   - size: The size that it must have.
    ///   - name: The file's name, for errors.
    /// - Throws: `.badData` naming the file, what was expected and what was found.
    public init(pgm data: Data, size: PixelSize, name: String) throws {
        func wrong(_ what: String) -> VisemeError {
            VisemeError(.badData, "The mask '\(name)' \(what).", hint: Self.hint(size))
        }
        var header = PGMHeader(data)
        guard header.isBinary else { throw wrong("does not begin with P5, expected a binary PGM") }
        guard let width = header.number(), let height = header.number(), let maximum = header.number(),
            let start = header.pixels()
        else { throw wrong("has no complete header, expected P5, width, height and 255") }
        guard width == size.width, height == size.height else {
            throw wrong("has \(width)×\(height) pixels, expected \(size)")
        }
        guard maximum == 255 else { throw wrong("has the maximum \(maximum), expected 255") }
        let found = data.count - start
        guard found == size.count else { throw wrong("holds \(found) bytes of pixels, expected \(size.count)") }
        try self.init(size: size, levels: [UInt8](data.suffix(found)), name: name)
    }

    private static func hint(_ size: PixelSize) -> String {
        "Write it as a binary PGM of \(size): 0 where the template stays, 255 where the mouth is drawn."
    }
}

/// The head of a PGM file: numbers between spaces and comments.
private struct PGMHeader {
    private let bytes: [UInt8]
    private var position = 2
    let isBinary: Bool

    init(_ data: Data) {
        // Longer headers have comments that nobody wrote by hand.
        bytes = [UInt8](data.prefix(4096))
        isBinary = bytes.starts(with: "P5".utf8)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    /// The next number; nil where there is none, or one that no picture has.
    mutating func number() -> Int? {
        let start = position
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "#") {
                while position < bytes.count, bytes[position] != 10 { position += 1 }
            } else if Self.isSpace(bytes[position]) {
                position += 1
            } else {
                break
            }
        }
        guard position > start else { return nil }
        var value: Int?
        while position < bytes.count, (48...57).contains(bytes[position]), value ?? 0 < 1 << 20 {
            value = (value ?? 0) * 10 + Int(bytes[position] - 48)
            position += 1
        }
        return value
    }

    /// Where the pixels begin: one space after the last number.
    func pixels() -> Int? { position < bytes.count && Self.isSpace(bytes[position]) ? position + 1 : nil }
}
