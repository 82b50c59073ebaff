import CFFmpeg
import Viseme

/// A decoder of one stream.
struct Decoder: ~Copyable {
    /// What `receive` found.
    enum Step {
        /// A frame was decoded.
        case frame
        /// Another packet is needed first.
        case needsPacket
        /// Everything was decoded.
        case ended
        /// The data was damaged; decoding can go on.
        case damaged
    }

    private let context: CodecContext

    /// Opens a decoder with one thread: the threads belong to the network.
    ///
    /// - Parameters:
    ///   - stream: The stream to decode.
    ///   - label: The file in messages: "Speech 'a.wav'".
    ///   - isStrict: Whether damage is an error rather than something to conceal.
    /// - Throws: `.unavailable` when libav* has no such decoder, `.badData` when it refuses the stream.
    init(_ stream: UnsafeMutablePointer<AVStream>, label: String, isStrict: Bool = false) throws {
        let parameters = try check(stream.pointee.codecpar, "stream parameters")
        let name = codecName(parameters.pointee.codec_id)
        guard let codec = avcodec_find_decoder(parameters.pointee.codec_id) else {
            throw VisemeError(
                .unavailable, "\(label) is coded as \(name), and this libavcodec has no decoder for that",
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

    /// Gives a packet to the decoder; its output must have been received before.
    ///
    /// - Returns: Whether the packet was usable.
    func send(_ packet: borrowing Packet) -> Bool {
        avcodec_send_packet(context.pointer, packet.pointer) >= 0
    }

    /// Says that no packet will follow.
    func sendEnd() { avcodec_send_packet(context.pointer, nil) }

    /// Forgets everything, for a jump to another place.
    func reset() { avcodec_flush_buffers(context.pointer) }

    /// Takes the next decoded frame.
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
