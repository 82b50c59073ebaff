import CFFmpeg
import Viseme

/// Converts decoded pictures: 4:2:0 is kept, other formats become B G R bytes through swscale, as in FFmpeg's command line.
struct PixelReader: ~Copyable {
    private struct Form: Equatable {
        var width: Int32
        var height: Int32
        var format: Int32
        var matrix: UInt32
        var range: UInt32
    }

    private let width, height: Int
    /// Made when a picture is converted: a video in 4:2:0 needs none of its size.
    private var target: AVFrameBox?
    private let parts = PixelReaders()
    private var form: Form?
    private var scaler: Scaler?

    /// Makes a converter for images of one size.
    init(width: Int, height: Int) { (self.width, self.height) = (width, height) }

    /// Copies a decoded picture.
    ///
    /// - Throws: `.badData` when the picture has another size.
    mutating func picture(of frame: borrowing AVFrameBox, label: String) throws -> any Picture {
        try requireSize(of: frame, label: label)
        if let planar = PlanarPicture(frame, readers: parts) { return planar }
        return try image(of: frame, label: label)
    }

    /// Converts a decoded picture to (height, width, 3).
    ///
    /// Matrix and range are the stream's. Without a tag the matrix is BT.601 at any size, because FFmpeg and OpenCV assume that, and
    /// so wrote most untagged files.
    ///
    /// - Throws: `.badData` when the picture has another size.
    mutating func image(of frame: borrowing AVFrameBox, label: String) throws -> Image {
        try requireSize(of: frame, label: label)
        let raw = frame.pointer.pointee
        let wanted = Form(
            width: raw.width, height: raw.height, format: raw.format, matrix: raw.colorspace.rawValue,
            range: raw.color_range.rawValue)
        if wanted != form {
            scaler = try Self.scaler(for: raw)
            form = wanted
        }
        let target = try self.target.take() ?? AVFrameBox(width: width, height: height, format: AV_PIX_FMT_BGR24)
        try scaler?.convert(frame, to: target, label: label)
        let image = try target.packedImage()
        self.target = consume target
        return image
    }

    private func requireSize(of frame: borrowing AVFrameBox, label: String) throws {
        let raw = frame.pointer.pointee
        guard Int(raw.width) == width, Int(raw.height) == height else {
            throw VisemeError(
                .badData,
                "\(label) is \(raw.width)×\(raw.height); the first frame is \(width)×\(height)",
                hint: "all template frames need one size")
        }
    }

    private static func scaler(for raw: AVFrame) throws -> Scaler {
        let format = AVPixelFormat(raw.format)
        let description = av_pix_fmt_desc_get(format)
        // As in FFmpeg's scale filter: 4:2:0 chroma is between two rows, whatever the stream says about columns.
        let halved = description?.pointee.log2_chroma_h == 1
        let full = raw.color_range == AVCOL_RANGE_JPEG || Self.isFullRangeFormat(format)
        let unknown = viseme_chroma_unknown()
        let source = VisemePicture(
            width: raw.width, height: raw.height, format: raw.format,
            matrix: Int32(bitPattern: raw.colorspace.rawValue),
            full_range: full ? 1 : 0, chroma_x: unknown, chroma_y: halved ? 128 : unknown)
        let target = VisemePicture(
            width: raw.width, height: raw.height, format: AV_PIX_FMT_BGR24.rawValue, matrix: 0, full_range: 1,
            chroma_x: unknown, chroma_y: unknown)
        return try Scaler(from: source, to: target)
    }

    /// Whether a pixel format is one of the old "J" formats that imply 0…255.
    private static func isFullRangeFormat(_ format: AVPixelFormat) -> Bool {
        text(av_get_pix_fmt_name(format)).hasPrefix("yuvj")
    }
}
