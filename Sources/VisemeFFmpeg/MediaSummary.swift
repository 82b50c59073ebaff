/// What a media file holds.
public struct MediaSummary: Sendable, Equatable {
    /// One stream of the file.
    public struct Stream: Sendable, Equatable {
        /// "video", "audio", "subtitle", …
        public var kind: String
        /// libavcodec's name of the codec: "h264", "pcm_s16le".
        public var codec: String
        /// Columns of a picture; 0 for sound.
        public var width: Int
        /// Rows of a picture; 0 for sound.
        public var height: Int
        /// Frames a second of a picture, as the container says; 0 for sound.
        public var fps: Double
        /// Samples a second of sound; 0 for pictures.
        public var rate: Int
        /// Channels of sound; 0 for pictures.
        public var channels: Int
        /// "yuv420p", "fltp", …
        public var format: String
        /// Matrix, primaries, transfer and range of a picture: "bt709 bt709 bt709 tv"; empty for sound.
        public var colour: String
        /// Packets that are played: frames, for a picture.
        public var packets: Int
        /// When the first of them is played, in seconds.
        public var startSeconds: Double
        /// When the last of them ends, in seconds.
        public var endSeconds: Double

        /// From the first to the end of the last packet, in seconds.
        public var seconds: Double { endSeconds - startSeconds }
    }

    /// libavformat's names of the container.
    public var format: String
    /// The container's metadata.
    public var metadata: [String: String]
    /// The streams in file order.
    public var streams: [Stream]

    /// The first picture stream, or nil.
    public var video: Stream? { streams.first { $0.kind == "video" } }
    /// The first sound stream, or nil.
    public var audio: Stream? { streams.first { $0.kind == "audio" } }
}
