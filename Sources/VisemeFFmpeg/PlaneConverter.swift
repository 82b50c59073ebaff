import CFFmpeg
public import Foundation
public import Viseme

/// Converts pictures to the planes that the video encoders get: 8-bit 4:2:0, BT.709, 16…235.
///
/// A template in this format is copied, and only the drawn square is converted, so the planes of a frame are those of a rendered video before
/// its compression, to the bit.
public actor PlaneConverter {
    private let executor = BlockingExecutor("planes")
    private var pixels: PixelWriter

    /// Columns of the planes: those of the pictures, rounded up to an even number.
    public nonisolated let width: Int
    /// Rows of the planes: those of the pictures, rounded up to an even number.
    public nonisolated let height: Int

    /// The actor's own executor.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Makes a converter for pictures of one size.
    public init(width: Int, height: Int) throws {
        let (even, rows) = (width + width % 2, height + height % 2)
        pixels = try PixelWriter(width: even, height: rows)
        (self.width, self.height) = (even, rows)
    }

    /// Bytes of the planes of one picture.
    public nonisolated var byteCount: Int { width * height * 3 / 2 }

    /// The planes of a picture, without padding.
    ///
    /// - Returns: `width * height` bytes of Y, then a quarter as many of Cb, then of Cr.
    /// - Throws: `.usage` for a picture of another size.
    public func planes(of picture: any Picture) throws -> Data {
        guard picture.width + picture.width % 2 == width, picture.height + picture.height % 2 == height else {
            throw VisemeError(.usage, "A picture is \(picture.width)×\(picture.height), expected \(width)×\(height)")
        }
        try pixels.convert(picture)
        let raw = pixels.target.pointer.pointee
        var planes = Data(capacity: byteCount)
        for (plane, stride, share) in [
            (raw.data.0, raw.linesize.0, 1), (raw.data.1, raw.linesize.1, 2), (raw.data.2, raw.linesize.2, 2),
        ] {
            guard let plane else { throw VisemeError(.internal, "A converted picture is empty") }
            for y in 0..<height / share { planes.append(plane + y * Int(stride), count: width / share) }
        }
        return planes
    }
}
