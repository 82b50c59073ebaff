import CFFmpeg
import Foundation
import Viseme

/// Encodes images as PNG, with metadata on how they were made.
struct PNGEncoder: ~Copyable {
    private let context: CodecContext
    private let frame: AVFrameBox
    private let packet: Packet
    /// The chunks that follow the header of every image.
    private let text: Data

    /// The signature (8 bytes) and the IHDR chunk (25 bytes), which always come first.
    private static let headerBytes = 33

    /// Opens an encoder for one size.
    ///
    /// - Parameters:
    ///   - width: Columns.
    ///   - height: Rows.
    ///   - software: The program name.
    ///   - isMarked: Whether the metadata says that a trained model made the image.
    ///   - notice: A sentence for the comment.
    init(width: Int, height: Int, software: String, isMarked: Bool, notice: String? = nil) throws {
        let frame = try AVFrameBox(width: width, height: height, format: AV_PIX_FMT_RGB24)
        let packet = try Packet()
        var text = Self.chunk("tEXt", Data("Software\0\(software)".utf8))
        if let notice { text += Self.chunk("tEXt", Data("Comment\0\(notice)".utf8)) }
        if isMarked {
            text += Self.chunk("tEXt", Data("\(SyntheticMark.key)\0\(SyntheticMark.sourceType)".utf8))
            // Keyword, no compression (two zero bytes), no language, no translated keyword.
            text += Self.chunk(
                "iTXt", Data("XML:com.adobe.xmp\0\0\0\0\0\(SyntheticMark.xmp(software: software))".utf8))
        }
        guard let codec = avcodec_find_encoder(AV_CODEC_ID_PNG) else {
            throw VisemeError(.unavailable, "This libavcodec was built without a PNG encoder")
        }
        let context = try CodecContext(codec, Purpose(.internal, "The PNG encoder does not open")) { context in
            context.pointee.width = Int32(width)
            context.pointee.height = Int32(height)
            context.pointee.pix_fmt = AV_PIX_FMT_RGB24
            context.pointee.time_base = AVRational(num: 1, den: 1)
            context.pointee.thread_count = 1
            context.pointee.compression_level = 3
        }
        self.text = text
        self.frame = frame
        self.packet = packet
        self.context = context
    }

    /// Encodes an image (height, width, 3) in B G R order.
    func encode(_ image: Image) throws -> Data {
        try frame.makeWritable()
        var turned = image
        for pixel in stride(from: 0, to: turned.bytes.count, by: 3) { turned.bytes.swapAt(pixel, pixel + 2) }
        frame.fill(from: turned)
        try check(
            avcodec_send_frame(context.pointer, frame.pointer), Purpose(.internal, "A frame was not encoded as PNG"))
        try check(
            avcodec_receive_packet(context.pointer, packet.pointer),
            Purpose(.internal, "A frame was not encoded as PNG"))
        let raw = packet.pointer.pointee
        guard let bytes = raw.data, raw.size > Self.headerBytes else {
            throw VisemeError(.internal, "The PNG encoder returned \(raw.size) bytes")
        }
        var file = Data(bytes: bytes, count: Self.headerBytes)
        file.append(text)
        file.append(bytes + Self.headerBytes, count: Int(raw.size) - Self.headerBytes)
        packet.clear()
        return file
    }

    /// A PNG chunk: length, type, content, CRC-32 of type and content.
    private static func chunk(_ type: String, _ content: Data) -> Data {
        let body = Data(type.utf8) + content
        return bigEndian(UInt32(content.count)) + body + bigEndian(checksum(body))
    }

    private static func bigEndian(_ value: UInt32) -> Data {
        Data([UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)])
    }

    /// CRC-32 as in the PNG specification, annex D.
    private static func checksum(_ data: Data) -> UInt32 {
        var value: UInt32 = 0xFFFF_FFFF
        for byte in data {
            value ^= UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
        }
        return ~value
    }
}
