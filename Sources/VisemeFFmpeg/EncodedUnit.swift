import CFFmpeg
public import Foundation
import Viseme

/// 40 ms of encoded live video: one picture, and the audio frames that became complete with it.
///
/// A value that any number of viewers share; each viewer has its own `LiveMuxer`.
public struct EncodedUnit: Sendable {
    /// One H.264 picture without B-frames: the bytes of an access unit (ITU-T H.264, annex B).
    public struct Picture: Sendable {
        /// The access unit.
        public let data: Data
        /// Whether it is a key frame.
        public let isKey: Bool
    }

    /// One AAC frame.
    public struct Sound: Sendable {
        /// The frame without an ADTS header.
        public let data: Data
        /// The number of its first sample on the timeline of the units; the encoder's priming is before 0.
        public let start: Int
        /// Samples per channel.
        public let samples: Int

        /// The frame moved by a number of samples.
        public func moved(by offset: Int) -> Sound { Sound(data: data, start: start + offset, samples: samples) }
    }

    /// Its number; it is shown from index/25 s on.
    public var index: Int
    /// The picture; nil after the last one, where only sound is left.
    public var picture: Picture?
    /// Frames of sound, in order.
    public var sound: [Sound]

    /// Makes a unit.
    public init(index: Int, picture: Picture?, sound: [Sound]) {
        self.index = index
        self.picture = picture
        self.sound = sound
    }
}

/// The stream parameters that a container needs before the first packet.
public struct LiveFormat: Sendable {
    let video: StreamParameters
    let audio: StreamParameters
    /// The audio format.
    let rate: Int

    /// Whether pictures of both can be mixed in one stream: they have the same parameter sets.
    public func accepts(_ other: LiveFormat) -> Bool { video.extradata == other.video.extradata }

    /// The codecs as RFC 6381 names them: "avc1.64001f,mp4a.40.2".
    public var codecs: String {
        // The sequence parameter set begins with profile, constraints and level.
        let bytes = [UInt8](video.extradata)
        let start = (0..<max(0, bytes.count - 7)).first {
            bytes[$0...].starts(with: [0, 0, 1]) && bytes[$0 + 3] & 31 == 7
        }
        let profile = start.map { bytes[($0 + 4)..<($0 + 7)].map { String(format: "%02x", $0) }.joined() }
        return "avc1.\(profile ?? "64001f"),mp4a.40.2"
    }
}

/// The parameters of an encoded stream.
final class StreamParameters: Sendable {
    /// Owned and immutable after `init`, so concurrent reads are safe.
    nonisolated(unsafe) let pointer: UnsafeMutablePointer<AVCodecParameters>

    /// Copies the parameters of an open encoder.
    init(_ encoder: UnsafeMutablePointer<AVCodecContext>) throws {
        pointer = try check(avcodec_parameters_alloc(), "stream parameters")
        try check(
            avcodec_parameters_from_context(pointer, encoder),
            Purpose(.internal, "An encoder's parameters cannot be copied"))
    }

    deinit {
        var pointer: UnsafeMutablePointer<AVCodecParameters>? = pointer
        avcodec_parameters_free(&pointer)
    }

    /// The codec's header: parameter sets, AudioSpecificConfig.
    var extradata: Data {
        guard let bytes = pointer.pointee.extradata else { return Data() }
        return Data(bytes: bytes, count: Int(pointer.pointee.extradata_size))
    }
}
