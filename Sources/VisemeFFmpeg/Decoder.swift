import CFFmpeg
import Viseme

/// A decoder of one stream.
struct Decoder: ~Copyable {
    /// The result of `receive`.
    enum Step {
        /// A frame was decoded.
        case frame
        /// Another packet is needed.
        case needsPacket
        /// The stream has ended.
        case ended
        /// The data was damaged; decoding can continue.
        case damaged
    }

    private let context: CodecContext

    /// Opens a decoder with one thread: the other threads are for inference.
    ///
    /// - Parameters:
    ///   - stream: The stream to decode.
    ///   - label: The file's name in messages: "Speech 'a.wav'".
    ///   - isStrict: Whether damage is an error instead of being concealed.
    /// - Throws: `.unavailable` when libav* has no such decoder, `.badData` when it does not open the stream.
    init(_ stream: UnsafeMutablePointer<AVStream>, label: String, isStrict: Bool = false) throws {
        let parameters = try check(stream.pointee.codecpar, "stream parameters")
        let name = codecName(parameters.pointee.codec_id)
        guard let codec = avcodec_find_decoder(parameters.pointee.codec_id) else {
            throw VisemeError(
                .unavailable, "\(label) is encoded as \(name), and this libavcodec has no decoder for it",
                hint: "convert it, for example: ffmpeg -i IN -ar 48000 OUT.wav")
        }
        context = try CodecContext(codec, Purpose(.badData, "\(label) cannot be decoded as \(name)")) { context in
            try check(
                avcodec_parameters_to_context(context, parameters),
                Purpose(.badData, "\(label) has unusable \(name) parameters"))
            context.pointee.pkt_timebase = stream.pointee.time_base
            context.pointee.thread_count = 1
            if isStrict { context.pointee.err_recognition |= AV_EF_EXPLODE | AV_EF_CRCCHECK }
        }
    }

    /// Sends a packet to the decoder; all earlier output must have been received.
    ///
    /// - Returns: Whether the packet was usable.
    func send(_ packet: borrowing Packet) -> Bool {
        avcodec_send_packet(context.pointer, packet.pointer) >= 0
    }

    /// Signals the end of the stream.
    func sendEnd() { avcodec_send_packet(context.pointer, nil) }

    /// Resets the decoder for a seek.
    func reset() { avcodec_flush_buffers(context.pointer) }

    /// Receives the next decoded frame.
    func receive(into frame: borrowing AVFrameBox) throws -> Step {
        let status = avcodec_receive_frame(context.pointer, frame.pointer)
        switch status {
        case 0...: return .frame
        case viseme_error_again(): return .needsPacket
        case viseme_error_end(): return .ended
        case viseme_error_posix(ENOMEM): throw VisemeError(.internal, "A decoder ran out of memory")
        default: return .damaged
        }
    }
}
