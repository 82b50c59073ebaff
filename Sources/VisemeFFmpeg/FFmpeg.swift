import CFFmpeg
public import Foundation
public import Viseme

/// Media files through libav*: the `MediaBackend` for Linux and macOS.
///
/// Sound is averaged to mono and resampled with soxr; video is H.264 through libx264. Everything blocking runs on queues
/// of its own, never on the shared pool of Swift's concurrency.
public struct FFmpeg: MediaBackend {
    /// The address that means standard input. libav* can read it once only and cannot jump in it, so `spool()` it when
    /// its sound also belongs into the video.
    public static let standardInput: URL = {
        guard let url = URL(string: "pipe:0") else { preconditionFailure("'pipe:0' is an address") }
        return url
    }()

    /// The program that containers name as their maker.
    public let software: String

    /// libav* prints to standard error by default; a library must not.
    private static let quiet: Void = av_log_set_level(AV_LOG_QUIET)

    /// Makes a backend.
    ///
    /// - Parameter software: The program and version that containers name as their maker.
    public init(software: String = "Viseme") {
        self.software = software
        Self.quiet
    }

    /// Opens the sound of an audio or video file, or of `standardInput`.
    ///
    /// - Throws: `.noInput` when the file is not there, `.badData` when it has no sound (the message names its streams) or
    ///   no sample, `.unavailable` when a decoder or soxr is missing.
    public func speech(at url: URL) async throws -> any SpeechReader {
        try await SpeechDecoder.open(url)
    }

    /// Opens template frames: a video file, a folder of numbered images, or a pattern such as `frames/%06d.jpg`.
    ///
    /// - Parameters:
    ///   - url: The video, the folder, or the pattern.
    ///   - memory: The bytes that decoded frames may occupy; at least one frame is always kept.
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

    /// Checks what can be known of a render before anything is loaded.
    ///
    /// - Throws: `.noInput` for a sound that is not there; `.cannotCreate` for an output that exists.
    public func check(sound: URL, output: URL, overwrite: Bool) throws {
        if sound.isFileURL, !FileManager.default.fileExists(atPath: sound.path) {
            throw VisemeError(.noInput, "Speech '\(sound.path)' does not exist", hint: "check the path")
        }
        guard overwrite || !FileManager.default.fileExists(atPath: output.path) else {
            throw VisemeError(
                .cannotCreate, "The output '\(output.path)' exists", hint: "choose another name, or add --force")
        }
    }

    /// Opens speech that goes on while it is read: a file, `standardInput`, or an address that libavformat reads.
    ///
    /// - Parameter samples: The form of bare samples; nil for a container, which describes itself.
    /// - Throws: `.noInput`, `.badData` (no sound), `.unavailable` (no decoder, no soxr), `.usage` (impossible samples).
    public func liveSource(at url: URL, samples: RawSamples? = nil) async throws -> LiveSource {
        try await LiveSource.open(url, samples: samples)
    }

    /// Opens speech in a container that comes through a pipe, from somebody who is not trusted: nothing else is opened.
    ///
    /// - Parameters:
    ///   - pipe: The end to read from. It is kept open until the source is closed, and closed then.
    ///   - sound: The form of the sound that is wanted beside the speech.
    /// - Throws: `.badData` (no sound), `.unsupported` (a list of other files), `.unavailable` (no decoder, no soxr).
    public func liveSource(from pipe: FileHandle, sound: SoundForm) async throws -> LiveSource {
        try await LiveSource.open(pipe, sound: sound)
    }

    /// Opens speech in a file, from somebody who is not trusted: nothing else is opened.
    ///
    /// - Parameter sound: The form of the sound that is wanted beside the speech.
    /// - Throws: as for a pipe.
    public func liveSource(at file: URL, sound: SoundForm) async throws -> LiveSource {
        try await LiveSource.open(file, sound: sound)
    }

    /// Opens an output that is written in real time.
    ///
    /// - Throws: `.cannotCreate` when the output exists, or cannot be created or reached; `.usage`; `.unavailable`.
    public func liveWriter(_ request: LiveRequest) async throws -> LiveWriter {
        try await LiveWriter.open(request, software: software)
    }

    /// What a file holds, by reading all of its packets.
    ///
    /// - Throws: `.noInput`, `.badData`.
    public func probe(_ url: URL) async throws -> MediaSummary {
        try await Prober().summary(of: url)
    }

    /// A picture as it is, as PNG.
    public func png(_ picture: any Picture) throws -> Data {
        let image = try picture.image()
        let encoder = try PNGEncoder(width: image.width, height: image.height, software: software, isMarked: false)
        return try encoder.encode(image)
    }

    /// Copies standard input into a temporary file, so that it can be read more than once.
    ///
    /// - Parameter handle: What to copy.
    /// - Returns: The file; the caller removes it.
    /// - Throws: `.noInput` when nothing came, `.cannotCreate` when the file cannot be written.
    public func spool(_ handle: FileHandle = .standardInput) async throws -> URL {
        try await Spooler().spool(handle)
    }
}
