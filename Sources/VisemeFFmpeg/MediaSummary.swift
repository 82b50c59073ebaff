/// A summary of a media file.
public struct MediaSummary: Sendable, Equatable {
    /// One stream of the file.
    public struct Stream: Sendable, Equatable {
        /// "video", "audio", "subtitle", …
        public var kind: String
        /// libavcodec's name of the codec: "h264", "pcm_s16le".
        public var codec: String
        /// The width in pixels; 0 for sound.
        public var width: Int
        /// The height in pixels; 0 for sound.
        public var height: Int
        /// The container's frame rate; 0 for sound.
        public var fps: Double
        /// The sample rate in Hz; 0 for pictures.
        public var rate: Int
        /// The number of channels; 0 for pictures.
        public var channels: Int
        /// "yuv420p", "fltp", …
        public var format: String
        /// Matrix, primaries, transfer and range of a picture: "bt709 bt709 bt709 tv"; empty for sound.
        public var colour: String
        /// The number of played packets; for video, frames.
        public var packets: Int
        /// The start of the first packet in seconds.
        public var startSeconds: Double
        /// The end of the last packet in seconds.
        public var endSeconds: Double

        /// The duration from start to end in seconds.
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
