public import Foundation

/// What a file holds that was rendered with a range, so that the segments of one render can be joined.
public struct VideoSegment: Sendable, Codable, Equatable {
    /// The number of its first frame in the whole.
    public var firstFrame: Int
    /// Frames a second.
    public var fps: Int
    /// The family of the models, as the manifest names it: it says how many frames a sound has.
    public var family: String?
    /// Sixteen hexadecimal digits for the pack and its models: segments of different ones are not joined.
    public var avatar: String
    /// The same for the sound, set by what writes the file.
    public var sound: String?
    /// The notice of the video that it is a part of.
    public var notice: String?

    /// Describes the part of a render that begins with a frame.
    public init(firstFrame: Int, of manifest: AvatarManifest, notice: String? = nil) {
        self.firstFrame = firstFrame
        fps = manifest.fps
        family = manifest.family
        avatar = Self.digest(of: Data(([manifest.name] + manifest.models.map(\.sha256)).joined(separator: "\n").utf8))
        self.notice = notice
    }

    /// Sixteen hexadecimal digits of SHA-256.
    public static func digest(of data: Data) -> String { String(SHA256.hexDigest(of: data).prefix(16)) }

    /// Frames of a whole speech.
    ///
    /// - Parameter samples: Its samples at 16 kHz.
    /// - Throws: `.unsupported` for a family that this version does not know.
    public func frameTotal(samples: Int) throws -> Int {
        try GeneratorFamily.named(family).frameCount(samples: samples)
    }
}
