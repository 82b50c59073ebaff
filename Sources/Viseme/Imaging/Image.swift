/// An 8-bit colour image: interleaved B, G, R bytes, rows top to bottom without padding.
///
/// | buffer | shape | range |
/// |---|---|---|
/// | `bytes` | (height, width, 3), B G R | 0…255 |
public struct Image: Sendable, Equatable {
    /// Width in pixels.
    public let width: Int
    /// Height in pixels.
    public let height: Int
    /// The pixels, row-major: byte `(y * width + x) * 3` is the blue of column x in row y.
    public var bytes: [UInt8]

    /// Width and height.
    public var size: PixelSize { PixelSize(width: width, height: height) }

    /// Makes an image of one grey level.
    ///
    /// - Parameters:
    ///   - width: Columns, at least 1.
    ///   - height: Rows, at least 1.
    ///   - grey: The level of every channel of every pixel.
    public init(width: Int, height: Int, grey: UInt8 = 0) {
        self.init(width: width, height: height, bytes: [UInt8](repeating: grey, count: width * height * 3))
    }

    /// Makes an image from its bytes.
    ///
    /// - Parameter bytes: Exactly `width * height * 3` bytes in B, G, R order.
    public init(width: Int, height: Int, bytes: [UInt8]) {
        precondition(width > 0 && height > 0, "an image has at least one pixel")
        precondition(bytes.count == width * height * 3, "an image needs width * height * 3 bytes")
        self.width = width
        self.height = height
        self.bytes = bytes
    }
}
