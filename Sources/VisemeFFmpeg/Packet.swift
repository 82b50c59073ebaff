import CFFmpeg

/// A compressed packet that is used again and again.
struct Packet: ~Copyable {
    /// The native packet, owned.
    let pointer: UnsafeMutablePointer<AVPacket>

    /// Makes an empty packet.
    init() throws {
        pointer = try check(av_packet_alloc(), "packet")
    }

    deinit {
        var pointer: UnsafeMutablePointer<AVPacket>? = pointer
        av_packet_free(&pointer)
    }

    /// Gives the payload back.
    func clear() { av_packet_unref(pointer) }
}
