import CFFmpeg
import Viseme

/// A decoded 4:2:0 picture without conversion.
struct PlanarPicture: Picture {
    let width: Int
    let height: Int
    /// Y, then Cb and Cr at half size, without row padding.
    private let bytes: [UInt8]
    private let format: AVPixelFormat
    private let matrix: AVColorSpace
    private let range: AVColorRange
    private let readers: PixelReaders

    /// Pixels around an area for its colours: swscale's chroma filter reaches four of them, and is shorter in pictures of
    /// less than seven chroma columns or rows.
    private static let reach = 12

    /// Copies a decoded frame; nil when it is not 8-bit 4:2:0.
    ///
    /// - Parameter readers: Converters for its parts, shared with the other pictures of its video.
    init?(_ frame: borrowing AVFrameBox, readers: PixelReaders) {
        let raw = frame.pointer.pointee
        let format = AVPixelFormat(raw.format)
        guard Self.isKept(format) else { return nil }
        guard raw.width > 0, raw.height > 0, let luma = raw.data.0, let blue = raw.data.1, let red = raw.data.2 else {
            return nil
        }
        (width, height) = (Int(raw.width), Int(raw.height))
        (self.format, matrix, range, self.readers) = (format, raw.colorspace, raw.color_range, readers)
        let planes = [(luma, raw.linesize.0), (blue, raw.linesize.1), (red, raw.linesize.2)]
        let sizes = Self.sizes(width: width, height: height)
        let total = sizes.reduce(0) { $0 + $1.columns * $1.rows }
        bytes = [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            for ((plane, stride), size) in zip(planes, sizes) {
                for y in 0..<size.rows {
                    (base + count).initialize(from: plane + y * Int(stride), count: size.columns)
                    count += size.columns
                }
            }
        }
    }

    var byteCount: Int { bytes.count }

    /// Whether pictures of a pixel format are kept without conversion.
    static func isKept(_ format: AVPixelFormat) -> Bool {
        format == AV_PIX_FMT_YUV420P || format == AV_PIX_FMT_YUVJ420P
    }

    /// Whether it has the encoder's format: BT.709, 16…235.
    var isEncodable: Bool {
        format == AV_PIX_FMT_YUV420P && matrix == AVCOL_SPC_BT709 && range != AVCOL_RANGE_JPEG && width % 2 == 0
            && height % 2 == 0
    }

    func image(of area: PixelArea) throws -> Image {
        let wide = area.grown(by: Self.reach, width: width, height: height)
        let part = try AVFrameBox(width: wide.width, height: wide.height, format: format)
        part.pointer.pointee.colorspace = matrix
        part.pointer.pointee.color_range = range
        copy(wide, to: part)
        let image = try readers.with(width: wide.width, height: wide.height) {
            try $0.image(of: part, label: "A template frame")
        }
        return image.image(
            of: PixelArea(x: area.x - wide.x, y: area.y - wide.y, width: area.width, height: area.height))
    }

    /// Copies an area with even edges into the planes of a frame of its size.
    func copy(_ area: PixelArea, to frame: borrowing AVFrameBox) {
        let raw = frame.pointer.pointee
        let targets = [(raw.data.0, raw.linesize.0), (raw.data.1, raw.linesize.1), (raw.data.2, raw.linesize.2)]
        let parts = Self.sizes(width: area.width, height: area.height)
        bytes.withUnsafeBufferPointer { bytes in
            guard var plane = bytes.baseAddress else { return }
            for (number, size) in Self.sizes(width: width, height: height).enumerated() {
                let (left, top) = number == 0 ? (area.x, area.y) : (area.x / 2, area.y / 2)
                if let target = targets[number].0 {
                    for y in 0..<parts[number].rows {
                        (target + y * Int(targets[number].1)).update(
                            from: plane + (top + y) * size.columns + left, count: parts[number].columns)
                    }
                }
                plane += size.columns * size.rows
            }
        }
    }

    /// The size of the three planes.
    private static func sizes(width: Int, height: Int) -> [(columns: Int, rows: Int)] {
        let half = ((width + 1) / 2, (height + 1) / 2)
        return [(width, height), half, half]
    }
}
