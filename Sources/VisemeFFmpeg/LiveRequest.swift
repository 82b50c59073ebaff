public import Foundation
public import Viseme

/// What to write in real time, and where.
public struct LiveRequest: Sendable {
    /// Where it goes.
    public enum Output: Sendable {
        /// Standard output.
        case standardOutput
        /// A file, which gets its name when it is complete.
        case file(URL)
        /// An address that libavformat writes to: `rtmp://…`, `srt://…`, `udp://…`.
        case address(String)
    }

    /// The containers that can be read while they are written.
    public enum Container: String, Sendable, CaseIterable {
        /// Fragmented MP4, as Media Source Extensions want it.
        case mp4
        /// MPEG transport stream.
        case ts
        /// Flash video, which is what RTMP carries.
        case flv
    }

    /// Where it goes.
    public var output: Output
    /// The container; nil for the one that the output implies: its file extension, FLV for RTMP, MPEG-TS for other
    /// addresses, else fragmented MP4.
    public var container: Container?
    /// Width of every frame in pixels.
    public var width: Int
    /// Height of every frame in pixels.
    public var height: Int
    /// The form of the sound; its rate is one that AAC knows.
    public var sound: SoundForm
    /// x264's constant rate factor, 0 … 51.
    public var crf = 21
    /// Whether an existing file may be replaced.
    public var overwrite = false
    /// Whether the container says that the video was made by a trained model.
    public var declaresSynthetic = true
    /// One more sentence for the metadata's comment; nil for none.
    public var notice: String?

    /// Describes an output.
    public init(output: Output, width: Int, height: Int, sound: SoundForm) {
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

    /// How the output is called in messages.
    var name: String {
        switch output {
        case .standardOutput: "standard output"
        case .file(let url): url.path
        case .address(let address): address
        }
    }
}

extension LiveRequest.Container {
    /// Fragments of 200 ms; the header waits for the first one, so that it can tell the encoder's priming.
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
