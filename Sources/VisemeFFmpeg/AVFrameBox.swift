import CFFmpeg
import Viseme

/// Raw audio or one raw picture.
struct AVFrameBox: ~Copyable {
    /// The native frame, owned.
    let pointer: UnsafeMutablePointer<AVFrame>

    /// Makes a frame without a buffer.
    init() throws {
        pointer = try check(av_frame_alloc(), "frame")
    }

    /// Makes a picture with a buffer whose rows are aligned for the vector code of libav*.
    ///
    /// - Parameters:
    ///   - width: Columns.
    ///   - height: Rows.
    ///   - format: The pixel format.
    init(width: Int, height: Int, format: AVPixelFormat) throws {
        let frame = try AVFrameBox()
        frame.pointer.pointee.width = Int32(clamping: width)
        frame.pointer.pointee.height = Int32(clamping: height)
        frame.pointer.pointee.format = format.rawValue
        try check(
            av_frame_get_buffer(frame.pointer, 0), Purpose(.internal, "A picture of \(width)×\(height) has no memory"))
        self = frame
    }

    deinit {
        var pointer: UnsafeMutablePointer<AVFrame>? = pointer
        av_frame_free(&pointer)
    }

    /// Releases the buffers.
    func clear() { av_frame_unref(pointer) }

    /// Makes the buffer writable: copies it if another owner, such as an encoder, still references it.
    func makeWritable() throws {
        try check(av_frame_make_writable(pointer), Purpose(.internal, "A picture cannot be written"))
    }

    /// Becomes silence in the format of another audio frame.
    func becomeSilence(like other: borrowing AVFrameBox, count: Int) throws {
        let raw = other.pointer.pointee
        clear()
        pointer.pointee.format = raw.format
        pointer.pointee.sample_rate = raw.sample_rate
        pointer.pointee.nb_samples = Int32(clamping: count)
        try check(
            av_channel_layout_copy(&pointer.pointee.ch_layout, &other.pointer.pointee.ch_layout),
            Purpose(.internal, "A channel layout cannot be copied"))
        try check(av_frame_get_buffer(pointer, 0), Purpose(.internal, "No memory for \(count) samples"))
        av_samples_set_silence(
            pointer.pointee.extended_data, 0, pointer.pointee.nb_samples, raw.ch_layout.nb_channels,
            AVSampleFormat(raw.format))
        pointer.pointee.pts = viseme_no_timestamp()
    }

    /// Removes samples from the beginning.
    func dropFirst(_ count: Int) throws {
        let raw = pointer.pointee
        let format = AVSampleFormat(raw.format)
        let channels = raw.ch_layout.nb_channels
        let rest = raw.nb_samples - Int32(count)
        guard count > 0, rest > 0, let data = raw.extended_data else { return }
        try makeWritable()
        let moved = av_samples_copy(
            pointer.pointee.extended_data ?? data, pointer.pointee.extended_data ?? data, 0, Int32(count), rest,
            channels,
            format)
        try check(moved, Purpose(.internal, "Samples cannot be moved"))
        pointer.pointee.nb_samples = rest
    }

    /// Copies a (height, width, 3) image into the first plane; columns and rows beyond the image repeat its edge.
    func fill(from image: Image) {
        guard let plane = pointer.pointee.data.0 else { return }
        let stride = Int(pointer.pointee.linesize.0)
        let (columns, rows) = (Int(pointer.pointee.width), Int(pointer.pointee.height))
        let rowBytes = image.width * 3
        image.bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            for y in 0..<rows {
                let row = plane + y * stride
                row.update(from: base + min(y, image.height - 1) * rowBytes, count: rowBytes)
                for x in image.width..<max(columns, image.width) {
                    row.advanced(by: x * 3).update(from: row + (image.width - 1) * 3, count: 3)
                }
            }
        }
    }

    /// The first plane of a packed 24-bit picture as an image (height, width, 3).
    func packedImage() throws -> Image {
        let (width, height) = (Int(pointer.pointee.width), Int(pointer.pointee.height))
        guard let plane = pointer.pointee.data.0, width > 0, height > 0 else {
            throw VisemeError(.internal, "A converted picture is empty")
        }
        let stride = Int(pointer.pointee.linesize.0)
        let rowBytes = width * 3
        let bytes = [UInt8](unsafeUninitializedCapacity: rowBytes * height) { buffer, count in
            if let base = buffer.baseAddress {
                for y in 0..<height { (base + y * rowBytes).initialize(from: plane + y * stride, count: rowBytes) }
            }
            count = rowBytes * height
        }
        return Image(width: width, height: height, bytes: bytes)
    }
}
