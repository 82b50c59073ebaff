import CFFmpeg
import Viseme

/// A queue of planar Float32 samples for an encoder's next whole frame.
struct SampleQueue: ~Copyable {
    private let fifo: OpaquePointer

    /// Makes an empty queue; it grows as needed.
    init(channels: Int32) throws {
        fifo = try check(av_audio_fifo_alloc(AACEncoder.format, channels, 4096), "sample queue")
    }

    deinit { av_audio_fifo_free(fifo) }

    /// The number of queued samples per channel.
    var count: Int32 { av_audio_fifo_size(fifo) }

    /// Appends samples of every channel.
    func write(_ planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, count: Int) throws {
        try check(
            viseme_fifo_write(fifo, planes, Int32(clamping: count)), Purpose(.internal, "The sound's queue failed"))
    }

    /// Removes samples of every channel.
    func read(into planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, count: Int32) throws -> Int32 {
        try check(viseme_fifo_read(fifo, planes, count), Purpose(.internal, "The sound's queue failed"))
    }
}
