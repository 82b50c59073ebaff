import CFFmpeg
import Viseme

/// B G R bytes to the encoder's 4:2:0 BT.709 pictures.
struct PixelWriter: ~Copyable {
    private let packed: Frame
    private let scaler: Scaler
    /// The converted picture, for the encoder.
    let target: Frame

    /// Makes a converter.
    ///
    /// - Parameters:
    ///   - width: Columns of the encoded picture, even.
    ///   - height: Rows of the encoded picture, even.
    init(width: Int, height: Int) throws {
        let packed = try Frame(width: width, height: height, format: AV_PIX_FMT_BGR24)
        let target = try Frame(width: width, height: height, format: AV_PIX_FMT_YUV420P)
        let unknown = viseme_chroma_unknown()
        let matrix = Int32(bitPattern: AVCOL_SPC_BT709.rawValue)
        let source = VisemePicture(
            width: Int32(clamping: width), height: Int32(clamping: height), format: AV_PIX_FMT_BGR24.rawValue,
            matrix: matrix, full_range: 1, chroma_x: unknown, chroma_y: unknown)
        // Chroma on the left luma column and between two rows: what H.264 players assume.
        let coded = VisemePicture(
            width: Int32(clamping: width), height: Int32(clamping: height), format: AV_PIX_FMT_YUV420P.rawValue,
            matrix: matrix, full_range: 0, chroma_x: 0, chroma_y: 128)
        let scaler = try Scaler(from: source, to: coded)
        self.packed = packed
        self.target = target
        self.scaler = scaler
    }

    /// Converts an image (height, width, 3) into `target`.
    func convert(_ image: Image) throws {
        packed.fill(from: image)
        try target.makeWritable()
        try scaler.convert(packed, to: target, label: "A frame")
    }
}
