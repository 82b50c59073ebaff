import CFFmpeg
import Foundation
import Viseme

/// A video file being written: its pictures come from outside, its sound from the original. The fields are destroyed in this order: the
/// file is closed before it is removed.
struct SoundedOutput: ~Copyable {
    private var copied: CopiedAudio?
    private var encoded: EncodedAudio?
    /// Takes the pictures' packets.
    let muxer: Muxer
    private var partial: PartialOutput
    private let request: VideoRequest
    private let notes: [String]

    /// Creates the file under a temporary name and writes its header.
    ///
    /// - Parameter addVideo: Adds the stream of the pictures, which comes first. It is called again when the container refuses the original sound.
    init(
        _ request: VideoRequest, software: String, notes: [String] = [], addVideo: (borrowing Muxer) throws -> Void
    ) throws {
        guard let container = request.container else { throw VisemeError(.usage, "No container for '\(request.url)'") }
        if let sound = request.sound { try Self.requireRereadable(sound.url) }
        var notes = notes
        let partial = try PartialOutput(for: request.url, isFolder: false, overwrite: request.overwrite)
        let path = partial.url
        func open(addSound: (borrowing Muxer) throws -> Void) throws -> Muxer {
            let muxer = try Muxer(path: path, container: container, name: request.url.path)
            try addVideo(muxer)
            try addSound(muxer)
            muxer.describe(software: software, declaresSynthetic: request.declaresSynthetic, notice: request.notice)
            if let segment = request.segment, let sound = request.sound {
                muxer.setMetadata(VideoSegment.key, try segment.text(sound: sound.url))
            }
            try muxer.writeHeader()
            return muxer
        }
        var copied: CopiedAudio?
        var encoded: EncodedAudio?
        var muxer: Muxer?
        if let sound = request.sound, try Self.canCopy(sound, into: container) {
            do {
                if let obstacle = try SoundScan(sound.url).obstacle {
                    throw VisemeError(.unsupported, obstacle)
                }
                let audio = try CopiedAudio(sound.url, into: container)
                muxer = try open { try audio.addStream(to: $0) }
                copied = consume audio
            } catch let error as VisemeError where error.code == .unsupported {
                // For example sound with gaps, or MP3 below 16 kHz in MP4.
                notes.append(
                    "The sound was re-encoded, .\(container.rawValue) does not support the original: \(error.message).")
            }
        }
        if muxer == nil, let sound = request.sound {
            let audio = try EncodedAudio(sound.url, range: sound.range)
            muxer = try open { try audio.addStream(to: $0) }
            encoded = consume audio
        }
        if muxer == nil { muxer = try open { _ in } }
        guard let opened = muxer.take() else { throw VisemeError(.internal, "'\(request.url.path)' has no container") }
        self.request = request
        self.notes = notes
        self.partial = partial
        self.copied = copied
        self.encoded = encoded
        self.muxer = opened
    }

    /// Writes the sound up to a time in seconds of the video.
    mutating func advanceSound(to limit: Double) throws {
        try copied?.advance(to: limit, into: muxer)
        try encoded?.advance(to: limit, into: muxer)
    }

    /// Writes the rest of the sound, closes the file and gives it its final name.
    mutating func finish(frames: Int) throws -> VideoReport {
        try advanceSound(to: .infinity)
        try muxer.finish()
        try partial.publish()
        return VideoReport(
            frames: frames, videoSeconds: Double(frames) / Double(request.fps),
            audioSeconds: copied?.seconds ?? encoded?.seconds ?? 0,
            sound: copied?.summary ?? encoded?.summary ?? "none", notes: notes + (encoded?.notes ?? []))
    }

    /// Refuses pipes as a source of sound: it is read a second time here.
    private static func requireRereadable(_ url: URL) throws {
        let hint = "copy it to a file first: FFmpeg.spool() does that, and viseme for -"
        guard url.isFileURL else {
            throw VisemeError(.unsupported, "The sound of a video cannot come from \(name(of: url))", hint: hint)
        }
        // A missing file or a broken link is reported when it is opened.
        guard FileManager.default.fileExists(atPath: url.path) else { return }
        let type = try? FileManager.default.attributesOfItem(atPath: url.resolvingSymlinksInPath().path)[.type]
        let kind = type as? FileAttributeType ?? .typeRegular
        guard kind == .typeRegular || kind == .typeDirectory else {
            throw VisemeError(.unsupported, "The sound '\(url.path)' is a pipe or a device, not a file", hint: hint)
        }
    }

    /// Whether a container can hold the original sound: all of it, in a supported codec.
    private static func canCopy(_ sound: VideoRequest.Sound, into container: Container) throws -> Bool {
        let source = try AudioSource(sound.url)
        guard sound.range == nil, container.copied?.contains(source.codecName) ?? true else { return false }
        // Matroska supports every codec or fails at its header. TTA's header cannot hold the true length.
        guard container != .mkv else { return source.codec != AV_CODEC_ID_TTA }
        guard let format = av_guess_format(container.format, nil, nil) else { return false }
        return avformat_query_codec(format, source.codec, Muxer.leastStrict) == 1
    }
}
