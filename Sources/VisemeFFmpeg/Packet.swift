import CFFmpeg

/// A reusable compressed packet.
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

    /// Releases the payload.
    func clear() { av_packet_unref(pointer) }
}
