import CFFmpeg
import Viseme

/// Converts pictures to the encoder's 4:2:0 BT.709. Pictures in this format are copied, and only a patch is converted.
struct PixelWriter: ~Copyable {
    /// The converted picture, for the encoder.
    let target: AVFrameBox
    private var whole: PackedConversion?
    private var patch: PackedConversion?

    /// Makes a converter.
    ///
    /// - Parameters:
    ///   - width: Columns of the encoded picture, even.
    ///   - height: Rows of the encoded picture, even.
    init(width: Int, height: Int) throws {
        target = try AVFrameBox(width: width, height: height, format: AV_PIX_FMT_YUV420P)
    }

    /// Converts a picture into `target`.
    mutating func convert(_ picture: any Picture) throws {
        try target.makeWritable()
        let patched = picture as? PatchedPicture
        if let base = (patched?.base ?? picture) as? PlanarPicture, base.isEncodable {
            base.copy(PixelArea(x: 0, y: 0, width: base.width, height: base.height), to: target)
            if let patched { try put(patched) }
        } else {
            let (width, height) = (Int(target.pointer.pointee.width), Int(target.pointer.pointee.height))
            if whole == nil { whole = try PackedConversion(width: width, height: height) }
            try whole?.convert(try picture.image(), to: target)
        }
    }

    /// Converts a patch, and copies it into `target`.
    private mutating func put(_ picture: PatchedPicture) throws {
        let (area, changed) = (picture.area, picture.changed)
        if patch == nil || patch?.width != area.width || patch?.height != area.height {
            patch = try PackedConversion(width: area.width, height: area.height)
        }
        let converted = try AVFrameBox(width: area.width, height: area.height, format: AV_PIX_FMT_YUV420P)
        try patch?.convert(picture.patch, to: converted)
        let (from, to) = (converted.pointer.pointee, target.pointer.pointee)
        let planes = [
            (from.data.0, from.linesize.0, to.data.0, to.linesize.0, 1),
            (from.data.1, from.linesize.1, to.data.1, to.linesize.1, 2),
            (from.data.2, from.linesize.2, to.data.2, to.linesize.2, 2),
        ]
        for (source, sourceStride, target, stride, share) in planes {
            guard let source, let target else { continue }
            for y in changed.y / share..<(changed.y + changed.height) / share {
                (target + y * Int(stride) + changed.x / share).update(
                    from: source + (y - area.y / share) * Int(sourceStride) + (changed.x - area.x) / share,
                    count: changed.width / share)
            }
        }
    }
}

/// B G R images of one size to 4:2:0 BT.709.
private struct PackedConversion: ~Copyable {
    let width: Int
    let height: Int
    private let packed: AVFrameBox
    private let scaler: Scaler

    init(width: Int, height: Int) throws {
        let unknown = viseme_chroma_unknown()
        let matrix = Int32(bitPattern: AVCOL_SPC_BT709.rawValue)
        let source = VisemePicture(
            width: Int32(clamping: width), height: Int32(clamping: height), format: AV_PIX_FMT_BGR24.rawValue,
            matrix: matrix, full_range: 1, chroma_x: unknown, chroma_y: unknown)
        // Chroma on the left luma column and between two rows: what H.264 players assume.
        let coded = VisemePicture(
            width: Int32(clamping: width), height: Int32(clamping: height), format: AV_PIX_FMT_YUV420P.rawValue,
            matrix: matrix, full_range: 0, chroma_x: 0, chroma_y: 128)
        let packed = try AVFrameBox(width: width, height: height, format: AV_PIX_FMT_BGR24)
        let scaler = try Scaler(from: source, to: coded)
        self.packed = packed
        self.scaler = scaler
        (self.width, self.height) = (width, height)
    }

    /// Converts an image (height, width, 3); a target that is larger by a column or a row repeats the edge.
    func convert(_ image: Image, to target: borrowing AVFrameBox) throws {
        packed.fill(from: image)
        try scaler.convert(packed, to: target, label: "A frame")
    }
}
