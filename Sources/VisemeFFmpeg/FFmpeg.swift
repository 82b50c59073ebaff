import CFFmpeg
public import Foundation
public import Viseme

/// Media files through libav*: the `MediaBackend` for Linux and macOS.
///
/// Sound is averaged to mono and resampled with soxr; video is H.264 through libx264. Blocking calls run on their own executors,
/// never on Swift's shared pool.
public struct FFmpeg: MediaBackend {
    /// The URL of standard input. It can be read only once and without seeking, so `spool()` it when its sound is also written to
    /// the video.
    public static let standardInput: URL = {
        guard let url = URL(string: "pipe:0") else { preconditionFailure("'pipe:0' is an address") }
        return url
    }()

    /// The program name written to the container's metadata.
    public let software: String

    /// libav* prints to standard error by default; a library must not.
    private static let quiet: Void = av_log_set_level(AV_LOG_QUIET)

    /// Makes a backend.
    ///
    /// - Parameter software: The program and version written to the container's metadata.
    public init(software: String = "Viseme") {
        self.software = software
        Self.quiet
    }

    /// Opens the sound of an audio or video file, or of `standardInput`.
    ///
    /// - Throws: `.noInput` when the file does not exist, `.badData` when it has no sound (the message names its streams) or
    ///   no sample, `.unavailable` when a decoder or soxr is missing.
    public func speech(at url: URL) async throws -> any SpeechReader {
        try await SpeechDecoder.open(url)
    }

    /// Opens template frames: a video file, a folder of numbered images, or a pattern such as `frames/%06d.jpg`.
    ///
    /// - Parameters:
    ///   - url: The video, the folder, or the pattern.
    ///   - memory: The most bytes of cached frames; at least one frame is cached.
    /// - Throws: `.noInput`, `.badData` (no picture, a missing number), `.unsupported` (pictures without timestamps).
    public func template(at url: URL, memory: Int) async throws -> any TemplateReader {
        if let images = try ImageSequence(matching: url) {
            return try await ImageTemplate.open(images, memory: memory)
        }
        return try await VideoTemplate.open(url, memory: memory)
    }

    /// Creates a video file or a folder of PNG images.
    ///
    /// - Throws: `.cannotCreate` when the output exists, is a folder, or its folder cannot be written; `.unavailable`
    ///   without libx264; the errors of `speech(at:)` for the sound.
    public func writer(_ request: VideoRequest) async throws -> any VideoWriter {
        try request.validate()
        if request.isImageFolder { return try await ImageFolderWriter.open(request, software: software) }
        return try await VideoFileWriter.open(request, software: software)
    }

    /// Checks a render's files before anything is loaded.
    ///
    /// - Throws: `.noInput` for a missing speech file; `.cannotCreate` for an existing output.
    public func check(sound: URL, output: URL, overwrite: Bool) throws {
        if sound.isFileURL, !FileManager.default.fileExists(atPath: sound.path) {
            throw VisemeError(missing: "Speech", at: sound)
        }
        guard overwrite || !FileManager.default.fileExists(atPath: output.path) else {
            throw VisemeError(
                .cannotCreate, "The output '\(output.path)' exists", hint: "choose another name, or add --force")
        }
    }

    /// Opens live speech: a file, `standardInput`, or a URL that libavformat reads.
    ///
    /// - Parameter samples: The format of raw samples; nil for a container.
    /// - Throws: `.noInput`, `.badData` (no sound), `.unavailable` (no decoder, no soxr), `.usage` (invalid sample format).
    public func liveSource(at url: URL, samples: RawSamples? = nil) async throws -> LiveSource {
        try await LiveSource.open(url, samples: samples)
    }

    /// Opens speech in a container from an untrusted pipe. Opens no other resource.
    ///
    /// - Parameters:
    ///   - pipe: The read end. It is closed with the source.
    ///   - sound: The format of the original sound to return.
    /// - Throws: `.badData` (no sound), `.unsupported` (a playlist), `.unavailable` (no decoder, no soxr).
    public func liveSource(from pipe: FileHandle, sound: AudioFormat) async throws -> LiveSource {
        try await LiveSource.open(pipe, sound: sound)
    }

    /// Opens speech in an untrusted file. Opens no other resource.
    ///
    /// - Parameter sound: The format of the original sound to return.
    /// - Throws: The errors of a pipe.
    public func liveSource(at file: URL, sound: AudioFormat) async throws -> LiveSource {
        try await LiveSource.open(file, sound: sound)
    }

    /// Opens an output that is written in real time.
    ///
    /// - Throws: `.cannotCreate` when the output exists, or cannot be created or reached; `.usage`; `.unavailable`.
    public func liveWriter(_ request: LiveRequest) async throws -> LiveWriter {
        try await LiveWriter.open(request, software: software)
    }

    /// Opens a person's clip: any size, rate and rotation, as upright pictures at 25 a second.
    ///
    /// - Parameter size: Width and height of the pictures; those of the clip by default.
    /// - Throws: `.noInput`, `.badData` (no picture), `.unsupported` (high dynamic range, a playlist).
    public func clip(at url: URL, size: PixelSize? = nil) async throws -> ClipReader {
        try await ClipReader.open(url, size: size)
    }

    /// Describes a file's streams by reading all of its packets.
    ///
    /// - Throws: `.noInput`, `.badData`.
    public func probe(_ url: URL) async throws -> MediaSummary {
        try await Prober().summary(of: url)
    }

    /// Encodes a picture as PNG.
    public func png(_ picture: any Picture) throws -> Data {
        let image = try picture.image()
        let encoder = try PNGEncoder(width: image.width, height: image.height, software: software, isMarked: false)
        return try encoder.encode(image)
    }

    /// Copies standard input into a temporary file, so that it can be read more than once.
    ///
    /// - Parameter handle: What to copy.
    /// - Returns: The file; the caller removes it.
    /// - Throws: `.noInput` when the input is empty, `.cannotCreate` when the file cannot be written.
    public func spool(_ handle: FileHandle = .standardInput) async throws -> URL {
        try await Spooler().spool(handle)
    }
}
