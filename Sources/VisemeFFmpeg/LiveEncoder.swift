import CFFmpeg
import Foundation
public import Viseme

/// Encodes pictures and sound for any number of viewers: AAC, and H.264 without B-frames, with a key frame every second and on
/// request. Encoders of the same size and quality have the same parameter sets, so that one stream can switch between them at a
/// key frame.
public actor LiveEncoder {
    private let executor = BlockingExecutor("live encoder")
    private let width: Int
    private let height: Int
    private let sound: AudioFormat
    private var production: EncoderPair?

    /// The stream parameters for containers.
    public nonisolated let format: LiveFormat

    /// The actor's own executor.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens both encoders.
    ///
    /// - Parameters:
    ///   - width: The width of every picture in pixels.
    ///   - height: The height of every picture in pixels.
    ///   - sound: The audio format, with a sample rate of AAC.
    ///   - crf: x264's constant rate factor, 0 … 51.
    /// - Throws: `.unavailable` without libx264; `.usage`.
    public init(width: Int, height: Int, sound: AudioFormat, crf: Int) throws {
        let pair = try EncoderPair(width: width, height: height, sound: sound, crf: crf)
        format = try pair.format(rate: sound.rate)
        (self.width, self.height, self.sound) = (width, height, sound)
        production = consume pair
    }

    /// Encodes a picture.
    ///
    /// - Parameters:
    ///   - picture: The picture; nil repeats the previous one.
    ///   - isKey: Whether to encode a key frame. The first picture always is one.
    public func picture(_ picture: (any Picture)?, isKey: Bool = false) throws -> EncodedUnit.Picture {
        if let picture, picture.width != width || picture.height != height {
            throw VisemeError(
                .usage, "A picture is \(picture.width)×\(picture.height), the video \(width)×\(height)")
        }
        return try production.mutate { try $0.encode(picture, isKey: isKey) }
    }

    /// Encodes sound, and returns the completed frames.
    ///
    /// - Parameter samples: Interleaved samples in the encoder's format; `start` of a frame counts them from 0.
    public func sound(_ samples: [Float]) throws -> [EncodedUnit.Sound] {
        guard samples.count % sound.channels == 0 else {
            throw VisemeError(.usage, "\(samples.count) values are not divisible by \(sound.channels) channels")
        }
        return try production.mutate { try $0.encode(samples) }
    }

    /// Flushes the audio encoder. Nothing can be encoded afterwards.
    public func finishSound() throws -> [EncodedUnit.Sound] {
        defer { production = nil }
        return try production.mutate { try $0.finish() }
    }
}

extension Optional where Wrapped: ~Copyable {
    fileprivate mutating func mutate<Result>(_ body: (inout Wrapped) throws -> Result) throws -> Result {
        guard var value = self.take() else { throw VisemeError(.usage, "The encoder is closed") }
        do {
            let result = try body(&value)
            self = consume value
            return result
        } catch {
            self = consume value
            throw error
        }
    }
}

/// Both encoders of a `LiveEncoder`.
private struct EncoderPair: ~Copyable {
    private var video: VideoEncoder
    private var audio: AACEncoder
    private var pictures = 0

    init(width: Int, height: Int, sound: AudioFormat, crf: Int) throws {
        let request = VideoRequest(url: URL(filePath: "live.mp4"), width: width, height: height, crf: crf)
        try request.validate()
        // 4:2:0 needs an even width and height.
        let video = try VideoEncoder(request, width: width + width % 2, height: height + height % 2, isLive: true)
        let audio = try AACEncoder(sound, label: "Live sound")
        self.video = video
        self.audio = audio
    }

    func format(rate: Int) throws -> LiveFormat {
        LiveFormat(video: try StreamParameters(video.context), audio: try StreamParameters(audio.context), rate: rate)
    }

    mutating func encode(_ picture: (any Picture)?, isKey: Bool) throws -> EncodedUnit.Picture {
        guard picture != nil || pictures > 0 else {
            throw VisemeError(.usage, "There is no previous picture to repeat")
        }
        let packets = PacketList()
        if let picture {
            try video.encode(picture, number: pictures, isKey: isKey, into: packets)
        } else {
            try video.encodeAgain(number: pictures, isKey: isKey, into: packets)
        }
        pictures += 1
        guard packets.taken.count == 1, let packet = packets.taken.first else {
            throw VisemeError(.internal, "libx264 returned \(packets.taken.count) packets for one picture")
        }
        return EncodedUnit.Picture(data: packet.data, isKey: packet.isKey)
    }

    mutating func encode(_ samples: [Float]) throws -> [EncodedUnit.Sound] {
        let packets = PacketList()
        try audio.push(interleaved: samples)
        try audio.encode(ended: false, into: packets)
        return packets.sound
    }

    mutating func finish() throws -> [EncodedUnit.Sound] {
        let packets = PacketList()
        try audio.encode(ended: true, into: packets)
        return packets.sound
    }
}

/// Collects packets as values.
private final class PacketList: PacketSink {
    private(set) var taken: [(data: Data, start: Int, length: Int, isKey: Bool)] = []

    var sound: [EncodedUnit.Sound] {
        taken.map { EncodedUnit.Sound(data: $0.data, start: $0.start, samples: $0.length) }
    }

    func write(_ packet: borrowing Packet, to number: Int, unit: AVRational) throws {
        let raw = packet.pointer.pointee
        guard let bytes = raw.data, raw.size > 0 else { return packet.clear() }
        taken.append(
            (
                Data(bytes: bytes, count: Int(raw.size)), Int(raw.pts), Int(raw.duration),
                raw.flags & AV_PKT_FLAG_KEY != 0
            ))
        packet.clear()
    }
}
