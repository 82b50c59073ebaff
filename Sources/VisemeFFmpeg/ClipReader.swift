import CFFmpeg
import Foundation
public import Viseme

/// A picture of a clip.
public struct ClipFrame: Sendable {
    /// Its number at 25 a second.
    public var number: Int
    /// The pixels, upright.
    public var image: Image
}

/// Reads a clip from its beginning: frame k is the source's picture nearest to k / 25 s after the first one.
///
/// The training reads clips in the same way: `viseme_train.avatar.video`.
public actor ClipReader {
    private let executor = BlockingExecutor("clip")
    private var stream: ClipStream?

    /// The actor's own executor.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    static func open(_ url: URL, size: PixelSize?) async throws -> ClipReader {
        let reader = ClipReader()
        try await reader.start(url, size: size)
        return reader
    }

    private func start(_ url: URL, size: PixelSize?) throws { stream = try ClipStream(url, size: size) }

    /// Width and height of the pictures.
    public var size: PixelSize { stream?.size ?? PixelSize(square: 0) }

    /// Seconds from the beginning of the file's clock to the first picture; known after the first `next()`.
    public var start: Double? { stream?.start }

    /// The next frame; nil behind the last one.
    public func next() throws -> ClipFrame? {
        try Task.checkCancellation()
        return try stream?.next()
    }
}

/// The state of a `ClipReader`.
struct ClipStream: ~Copyable {
    private static let rate = 25.0

    private struct Held {
        var time: Double
        var image: Image
    }

    private let demuxer: Demuxer
    private let decoder: Decoder
    private let packet: Packet
    private let frame: AVFrameBox
    private let streamIndex: Int
    private let unit: AVRational
    private let sourceRate: Double
    private let label: String
    private var pictures: UprightPictures
    private var number = 0
    private var decoded = 0
    private var before: Held?
    private var ahead: Held?
    private var isDrained = false
    private var hasEnded = false

    /// Width and height of the pictures.
    let size: PixelSize
    /// The time of the first picture.
    private(set) var start: Double?

    init(_ url: URL, size wanted: PixelSize?) throws {
        let demuxer = try Demuxer(url, as: "Clip")
        let label = "Clip '\(demuxer.name)'"
        guard let index = demuxer.select(AVMEDIA_TYPE_VIDEO), let stream = demuxer.stream(index),
            let parameters = stream.pointee.codecpar
        else {
            throw VisemeError(
                .badData, "\(label) has no picture; found: \(demuxer.describeStreams())",
                hint: "give a video of the speaking person")
        }
        let (width, height) = (Int(parameters.pointee.width), Int(parameters.pointee.height))
        guard width >= 16, height >= 16 else {
            throw VisemeError(.badData, "\(label) has \(width)×\(height) pixels, expected at least 16×16")
        }
        let angle = viseme_rotation(stream)
        let turns = angle.isNaN ? 0 : ((Int((angle / 90).rounded()) % 4) + 4) % 4
        let ratio = parameters.pointee.sample_aspect_ratio
        let wide =
            ratio.num > 0 && ratio.den > 0 ? Double(width) * Double(ratio.num) / Double(ratio.den) : Double(width)
        // Pixels that are a hundred times as wide as high are damage.
        let stored = PixelSize(width: Int(max(16, min(8192, wide.rounded()))), height: height)
        let shown = turns % 2 == 1 ? PixelSize(width: stored.height, height: stored.width) : stored
        let size = wanted ?? shown
        let rates = [stream.pointee.avg_frame_rate, stream.pointee.r_frame_rate]
        let rate = rates.first { $0.num > 0 && $0.den > 0 }.map { Double($0.num) / Double($0.den) } ?? Self.rate
        let decoder = try Decoder(stream, label: label)
        let packet = try Packet()
        let frame = try AVFrameBox()
        unit = stream.pointee.time_base
        sourceRate = rate
        self.demuxer = demuxer
        self.decoder = decoder
        self.packet = packet
        self.frame = frame
        self.label = label
        self.size = size
        streamIndex = index
        pictures = UprightPictures(size: size, turns: turns, label: label)
    }

    mutating func next() throws -> ClipFrame? {
        while true {
            let wanted = Double(number) / Self.rate
            if let earlier = before, let later = ahead {
                if wanted < later.time {
                    let nearest = wanted - earlier.time <= later.time - wanted ? earlier : later
                    return give(nearest.image)
                }
                before = later
                ahead = nil
            }
            if hasEnded {
                // The last picture stands for its own time.
                guard let last = before, wanted < last.time + 1 / sourceRate - 1e-6 else { return nil }
                before = nil
                return give(last.image)
            }
            guard let held = try decode() else {
                hasEnded = true
                guard decoded > 0 else { throw VisemeError(.badData, "\(label): not one picture can be decoded") }
                continue
            }
            if before == nil { before = held } else { ahead = held }
        }
    }

    private mutating func give(_ image: Image) -> ClipFrame {
        defer { number += 1 }
        return ClipFrame(number: number, image: image)
    }

    /// The source's next picture. What is damaged is left out: times tell the gap.
    private mutating func decode() throws -> Held? {
        while true {
            switch try decoder.receive(into: frame) {
            case .frame:
                let stamp = frame.pointer.pointee.best_effort_timestamp
                let isKnown = stamp != viseme_no_timestamp() && unit.den > 0
                // Without a clock the rate is one.
                let clock =
                    isKnown
                    ? Double(stamp) * Double(unit.num) / Double(unit.den) : (start ?? 0) + Double(decoded) / sourceRate
                decoded += 1
                if start == nil { start = clock }
                return Held(time: clock - (start ?? clock), image: try pictures.image(of: frame))
            case .needsPacket: feed()
            case .damaged: continue
            case .ended: return nil
            }
        }
    }

    private mutating func feed() {
        while !isDrained {
            guard demuxer.read(into: packet) >= 0 else {
                isDrained = true
                return decoder.sendEnd()
            }
            guard packet.pointer.pointee.stream_index == Int32(streamIndex) else { continue }
            if decoder.send(packet) { return }
        }
    }
}

/// Makes upright pictures of one size, B G R, of whatever a camera stores.
struct UprightPictures: ~Copyable {
    private struct Form: Equatable {
        var width, height, format: Int32
        var matrix, range: UInt32
    }

    private let size: PixelSize
    /// Quarter turns, counter-clockwise.
    private let turns: Int
    private let label: String
    private var form: Form?
    private var scaler: Scaler?
    private var target: AVFrameBox?

    init(size: PixelSize, turns: Int, label: String) {
        (self.size, self.turns, self.label) = (size, turns, label)
    }

    mutating func image(of frame: borrowing AVFrameBox) throws -> Image {
        let raw = frame.pointer.pointee
        guard raw.color_trc != AVCOL_TRC_SMPTE2084, raw.color_trc != AVCOL_TRC_ARIB_STD_B67 else {
            throw VisemeError(
                .unsupported, "\(label) has high dynamic range, expected standard range",
                hint:
                    "`viseme-train prepare` reads it: measure the video that it writes, or export the clip in standard range"
            )
        }
        let wanted = Form(
            width: raw.width, height: raw.height, format: raw.format, matrix: raw.colorspace.rawValue,
            range: raw.color_range.rawValue)
        let stored = turns % 2 == 1 ? PixelSize(width: size.height, height: size.width) : size
        if wanted != form {
            scaler = try Self.scaler(for: raw, to: stored)
            form = wanted
        }
        let target =
            try self.target.take()
            ?? AVFrameBox(width: stored.width, height: stored.height, format: AV_PIX_FMT_BGR24)
        try scaler?.convert(frame, to: target, label: label)
        let image = try target.packedImage()
        self.target = consume target
        return image.turned(by: turns)
    }

    private static func scaler(for raw: AVFrame, to stored: PixelSize) throws -> Scaler {
        let format = AVPixelFormat(raw.format)
        let isHalved = av_pix_fmt_desc_get(format)?.pointee.log2_chroma_h == 1
        let isFull =
            raw.color_range == AVCOL_RANGE_JPEG || VisemeFFmpeg.text(av_get_pix_fmt_name(format)).hasPrefix("yuvj")
        let unknown = viseme_chroma_unknown()
        // A file that does not name its matrix: large pictures are BT.709, small ones BT.601, as players assume.
        let isNamed = ![AVCOL_SPC_UNSPECIFIED, AVCOL_SPC_RESERVED].contains(raw.colorspace)
        let matrix = isNamed ? raw.colorspace : raw.height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M
        return try Scaler(
            from: VisemePicture(
                width: raw.width, height: raw.height, format: raw.format, matrix: Int32(bitPattern: matrix.rawValue),
                full_range: isFull ? 1 : 0, chroma_x: unknown, chroma_y: isHalved ? 128 : unknown),
            to: VisemePicture(
                width: Int32(stored.width), height: Int32(stored.height), format: AV_PIX_FMT_BGR24.rawValue, matrix: 0,
                full_range: 1, chroma_x: unknown, chroma_y: unknown),
            flags: viseme_sws_resize_flags(stored.width < Int(raw.width) ? 1 : 0))
    }
}

extension Image {
    /// Turned counter-clockwise by quarters.
    func turned(by quarters: Int) -> Image {
        guard quarters != 0 else { return self }
        let size = quarters == 2 ? self.size : PixelSize(width: height, height: width)
        var turned = Image(width: size.width, height: size.height)
        for y in 0..<size.height {
            for x in 0..<size.width {
                let (fromX, fromY) =
                    switch quarters {
                    case 1: (width - 1 - y, x)
                    case 2: (width - 1 - x, height - 1 - y)
                    default: (y, height - 1 - x)
                    }
                let (from, to) = ((fromY * width + fromX) * 3, (y * size.width + x) * 3)
                for c in 0..<3 { turned.bytes[to + c] = bytes[from + c] }
            }
        }
        return turned
    }
}
