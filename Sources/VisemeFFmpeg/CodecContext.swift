import CFFmpeg
import Viseme

/// A codec context of libavcodec, freed with its owner.
struct CodecContext: ~Copyable {
    /// The native context, owned.
    let pointer: UnsafeMutablePointer<AVCodecContext>

    /// Allocates, configures and opens a codec.
    ///
    /// - Parameters:
    ///   - codec: A decoder or an encoder.
    ///   - purpose: The error when it does not open.
    ///   - configure: Sets the parameters before opening.
    init(
        _ codec: UnsafePointer<AVCodec>, _ purpose: Purpose,
        configure: (UnsafeMutablePointer<AVCodecContext>) throws -> Void
    ) throws {
        pointer = try Self.open(codec, purpose, configure)
    }

    deinit {
        var pointer: UnsafeMutablePointer<AVCodecContext>? = pointer
        avcodec_free_context(&pointer)
    }

    private static func open(
        _ codec: UnsafePointer<AVCodec>, _ purpose: Purpose,
        _ configure: (UnsafeMutablePointer<AVCodecContext>) throws -> Void
    ) throws -> UnsafeMutablePointer<AVCodecContext> {
        var context = avcodec_alloc_context3(codec)
        do {
            let opened = try check(context, "codec")
            try configure(opened)
            try check(avcodec_open2(opened, codec, nil), purpose)
            return opened
        } catch {
            avcodec_free_context(&context)
            throw error
        }
    }
}
