import CFFmpeg
import Viseme

/// A pixel format converter of swscale.
struct Scaler: ~Copyable {
    /// The native context, owned; opaque because FFmpeg's own type for it changed.
    private let context: UnsafeMutableRawPointer

    /// Prepares a bit-exact conversion.
    ///
    /// - Parameter flags: swscale's; others where the size changes.
    init(from source: VisemePicture, to target: VisemePicture, flags: Int32 = viseme_sws_flags()) throws {
        context = try check(viseme_sws_make(source, target, flags), "pixel converter")
    }

    deinit { viseme_sws_free(context) }

    /// Converts a whole picture.
    func convert(_ source: borrowing AVFrameBox, to target: borrowing AVFrameBox, label: String) throws {
        try check(
            viseme_sws_convert(context, source.pointer, target.pointer),
            Purpose(.internal, "\(label) cannot be converted to another pixel format"))
    }
}
