public import Foundation
public import Viseme

/// The settings of a live output.
public struct LiveRequest: Sendable {
    /// The destination.
    public enum Output: Sendable {
        /// Standard output.
        case standardOutput
        /// A file, renamed to its final name when complete.
        case file(URL)
        /// A URL that libavformat writes to: `rtmp://…`, `srt://…`, `udp://…`.
        case address(String)
    }

    /// Containers for live output.
    public enum Container: String, Sendable, CaseIterable {
        /// Fragmented MP4, for Media Source Extensions.
        case mp4
        /// MPEG transport stream.
        case ts
        /// Flash Video, for RTMP.
        case flv
    }

    /// The destination.
    public var output: Output
    /// The container; nil for the default: by file extension, FLV for RTMP, MPEG-TS for other URLs, else fragmented MP4.
    public var container: Container?
    /// Width of every frame in pixels.
    public var width: Int
    /// Height of every frame in pixels.
    public var height: Int
    /// The audio format, with a sample rate of AAC.
    public var sound: AudioFormat
    /// x264's constant rate factor, 0 … 51.
    public var crf = 21
    /// Whether an existing file may be replaced.
    public var overwrite = false
    /// Whether the metadata says that a trained model made the video.
    public var declaresSynthetic = true
    /// Another sentence for the metadata's comment; nil for none.
    public var notice: String?

    /// Describes an output.
    public init(output: Output, width: Int, height: Int, sound: AudioFormat) {
        self.output = output
        self.width = width
        self.height = height
        self.sound = sound
    }

    var effectiveContainer: Container {
        if let container { return container }
        switch output {
        case .standardOutput: return .mp4
        case .file(let url): return Container(rawValue: url.pathExtension.lowercased()) ?? .mp4
        case .address(let address): return address.lowercased().hasPrefix("rtmp") ? .flv : .ts
        }
    }

    /// The output's name in messages.
    var name: String {
        switch output {
        case .standardOutput: "standard output"
        case .file(let url): url.path
        case .address(let address): address
        }
    }
}

extension LiveRequest.Container {
    /// Fragments of 200 ms. The header is written with the first one, to include the encoder's priming.
    var layout: ContainerLayout {
        switch self {
        case .mp4:
            ContainerLayout(
                name: "fragmented MP4", format: "mp4",
                options: [
                    ("movflags", "+delay_moov+default_base_moof+use_metadata_tags"), ("frag_duration", "200000"),
                ], isLive: true)
        case .ts: ContainerLayout(name: "MPEG-TS", format: "mpegts", options: [], isLive: true)
        case .flv:
            ContainerLayout(
                name: "FLV", format: "flv", options: [("flvflags", "no_duration_filesize")], isLive: true)
        }
    }
}
