public import Foundation

/// Opens media files. The engine knows files only through this protocol, so that a platform can bring its own.
public protocol MediaBackend: Sendable {
    /// Opens the sound of an audio or video file.
    ///
    /// - Throws: `.noInput` when the file is not there, `.badData` when it has no sound or no sample.
    func speech(at url: URL) async throws -> any SpeechReader

    /// Opens the template frames of an avatar pack: a video, or a printf-style pattern such as `frames/%06d.jpg`.
    ///
    /// - Parameters:
    ///   - url: The video file, or the folder and pattern of the images.
    ///   - memory: The bytes that decoded frames may occupy.
    func template(at url: URL, memory: Int) async throws -> any TemplateReader

    /// Creates a video file, or a folder of PNG images.
    func writer(_ request: VideoRequest) async throws -> any VideoWriter
}

/// Decoded speech: mono Float32 at 16 kHz, all channels averaged, as it comes.
public protocol SpeechReader: Sendable {
    /// The next samples in −1…1, at most one second of them; nil at the end.
    func read() async throws -> [Float]?
    /// Things that were survived, one sentence each: damaged packets, a truncated file.
    var warnings: [String] { get async }
}

/// Template frames by number, however they are stored.
public protocol TemplateReader: Sendable {
    /// How many frames there are.
    var frameCount: Int { get }
    /// Width of every frame in pixels.
    var width: Int { get }
    /// Height of every frame in pixels.
    var height: Int { get }
    /// Frame `index` in 0..<frameCount.
    func frame(at index: Int) async throws -> any Picture
    /// Gives back the memory of frames that are kept for later.
    func forget() async
}

extension TemplateReader {
    /// Nothing is kept.
    public func forget() async {}
}

/// A video being written. Nothing appears under the final name before `finish()`.
public protocol VideoWriter: Sendable {
    /// Adds the next frame.
    func append(_ frame: any Picture) async throws
    /// Completes the file, gives it its final name and says what was written.
    func finish() async throws -> VideoReport
    /// Gives up and removes what was written. Safe to call at any time, more than once.
    func cancel() async
}

/// What to write, and where.
public struct VideoRequest: Sendable {
    /// Where the video's sound comes from.
    public struct Sound: Sendable {
        /// The file with the original audio.
        public var url: URL
        /// The part of it that belongs to the video, in seconds; nil for all of it.
        public var range: Range<Double>?

        /// Names the original audio and the part of it that is wanted.
        public init(url: URL, range: Range<Double>? = nil) {
            self.url = url
            self.range = range
        }
    }

    /// The file to create (`.mp4`, `.mov`, `.mkv`), or a folder for PNG images (no extension, or a trailing slash).
    public var url: URL
    /// Width of every frame in pixels.
    public var width: Int
    /// Height of every frame in pixels.
    public var height: Int
    /// Frames a second.
    public var fps: Int
    /// The original sound; nil for a silent video.
    public var sound: Sound?
    /// x264's constant rate factor, 0 (lossless) … 51.
    public var crf: Int
    /// Threads of the video encoder.
    public var threads: Int
    /// Whether an existing output may be replaced.
    public var overwrite: Bool
    /// Whether the container says that the video was made by a trained model (IPTC digital source type).
    public var declaresSynthetic: Bool
    /// One more sentence for the metadata's comment; nil for none.
    public var notice: String?
    /// Which part of a render it is, for joining; nil for a whole one. A folder of images does not say it.
    public var segment: VideoSegment?

    /// Describes a video to write.
    public init(
        url: URL, width: Int, height: Int, fps: Int = 25, sound: Sound? = nil, crf: Int = 18, threads: Int = 1,
        overwrite: Bool = false, declaresSynthetic: Bool = true
    ) {
        self.url = url
        self.width = width
        self.height = height
        self.fps = fps
        self.sound = sound
        self.crf = crf
        self.threads = threads
        self.overwrite = overwrite
        self.declaresSynthetic = declaresSynthetic
    }
}

/// What a finished `VideoWriter` wrote.
public struct VideoReport: Sendable, Equatable {
    /// Frames in the video.
    public var frames: Int
    /// Seconds of video.
    public var videoSeconds: Double
    /// Seconds of audio, or 0 without sound.
    public var audioSeconds: Double
    /// How the sound was carried: "copied pcm_s16le", "encoded aac 44100 Hz 2 channels", "none".
    public var sound: String
    /// Things worth knowing, one sentence each.
    public var notes: [String]

    /// Makes a report.
    public init(frames: Int, videoSeconds: Double, audioSeconds: Double, sound: String, notes: [String] = []) {
        self.frames = frames
        self.videoSeconds = videoSeconds
        self.audioSeconds = audioSeconds
        self.sound = sound
        self.notes = notes
    }
}
