/// Width and height of a picture, in pixels.
public struct PixelSize: Sendable, Hashable {
    /// Columns.
    public var width: Int
    /// Rows.
    public var height: Int

    /// Makes a size.
    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// Makes the size of a square.
    public init(square side: Int) { self.init(width: side, height: side) }

    /// Pixels.
    public var count: Int { width * height }

    /// Whether it is as high as wide.
    public var isSquare: Bool { width == height }
}

extension PixelSize: CustomStringConvertible {
    /// "320×224".
    public var description: String { "\(width)×\(height)" }
}

/// In JSON: the side of a square, or `[width, height]`.
extension PixelSize: Codable {
    /// Reads a number or two.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // The error for what is neither is that of the usual form.
        if let pair = try? container.decode([Int].self) {
            guard pair.count == 2 else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "\(pair) is not [width, height].")
            }
            self.init(width: pair[0], height: pair[1])
        } else {
            self.init(square: try container.decode(Int.self))
        }
    }

    /// Writes a number or two.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if isSquare { try container.encode(width) } else { try container.encode([width, height]) }
    }
}
