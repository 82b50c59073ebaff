import CFFmpeg
import Foundation
import Viseme

/// Writes H.264 with the original sound into `.mp4`, `.mov` or `.mkv`.
actor VideoFileWriter: VideoWriter {
    private let executor = BlockingExecutor("writer")
    private let request: VideoRequest
    private var production: VideoProduction?
    private var isFinished = false

    /// The actor's own executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ request: VideoRequest) { self.request = request }

    /// Creates the file under a temporary name and writes its header.
    static func open(_ request: VideoRequest, software: String) async throws -> VideoFileWriter {
        let writer = VideoFileWriter(request)
        try await writer.start(software: software)
        return writer
    }

    private func start(software: String) throws {
        production = try VideoProduction(request, software: software)
    }

    /// Encodes a frame, and the sound that belongs to it.
    func append(_ frame: any Picture) throws {
        try Task.checkCancellation()
        guard production != nil else { throw closed() }
        do {
            try production?.append(frame)
        } catch {
            production = nil
            throw error
        }
    }

    /// Flushes the encoders, and renames the file to its final name.
    func finish() throws -> VideoReport {
        guard var finishing = production.take() else { throw closed() }
        isFinished = true
        return try finishing.finish()
    }

    /// Removes what was written.
    func cancel() { production = nil }

    private func closed() -> VisemeError {
        let why = isFinished ? "was finished" : "was cancelled, or failed"
        return VisemeError(.usage, "'\(request.url.path)' \(why); it cannot be written")
    }
}

/// The state of a `VideoFileWriter`. The fields are destroyed in this order: the file is closed before it is removed.
struct VideoProduction: ~Copyable {
    private var encoder: VideoEncoder
    private var copied: CopiedAudio?
    private var encoded: EncodedAudio?
    private let muxer: Muxer
    private var partial: PartialOutput
    private let request: VideoRequest
    private var frames = 0
    private var notes: [String]

    init(_ request: VideoRequest, software: String) throws {
        guard let container = request.container else { throw VisemeError(.usage, "No container for '\(request.url)'") }
        if let sound = request.sound { try Self.requireRereadable(sound.url) }
        var notes: [String] = []
        // 4:2:0 needs an even width and height: the last column or row is repeated.
        let (width, height) = (request.width + request.width % 2, request.height + request.height % 2)
        if width != request.width || height != request.height {
            notes.append(
                "H.264 needs an even width and height: \(request.width)×\(request.height) became \(width)×\(height).")
        }
        let partial = try PartialOutput(for: request.url, isFolder: false, overwrite: request.overwrite)
        let encoder = try VideoEncoder(request, width: width, height: height)
        var copied: CopiedAudio?
        var encoded: EncodedAudio?
        var muxer: Muxer?
        if let sound = request.sound, try Self.canCopy(sound, into: container) {
            do {
                if let obstacle = try SoundScan(sound.url).obstacle {
                    throw VisemeError(.unsupported, obstacle)
                }
                let audio = try CopiedAudio(sound.url, into: container)
                muxer = try Self.makeMuxer(request, encoder, partial, container, software: software) {
                    try audio.addStream(to: $0)
                }
                copied = consume audio
            } catch let error as VisemeError where error.code == .unsupported {
                // For example sound with gaps, or MP3 below 16 kHz in MP4.
                notes.append(
                    "The sound was re-encoded, .\(container.rawValue) does not support the original: \(error.message).")
            }
        }
        if muxer == nil, let sound = request.sound {
            let audio = try EncodedAudio(sound.url, range: sound.range)
            muxer = try Self.makeMuxer(request, encoder, partial, container, software: software) {
                try audio.addStream(to: $0)
            }
            encoded = consume audio
        }
        if muxer == nil {
            muxer = try Self.makeMuxer(request, encoder, partial, container, software: software) { _ in }
        }
        guard let opened = muxer.take() else { throw VisemeError(.internal, "'\(request.url.path)' has no container") }
        self.request = request
        self.notes = notes
        self.partial = partial
        self.encoder = encoder
        self.copied = copied
        self.encoded = encoded
        self.muxer = opened
    }

    mutating func append(_ picture: any Picture) throws {
        guard picture.width == request.width, picture.height == request.height else {
            throw VisemeError(
                .usage,
                "Frame \(frames) is \(picture.width)×\(picture.height), the video \(request.width)×\(request.height)")
        }
        try encoder.encode(picture, number: frames, into: muxer)
        frames += 1
        try advanceSound(to: seconds)
    }

    mutating func finish() throws -> VideoReport {
        guard frames > 0 else { throw VisemeError(.usage, "'\(request.url.path)' has no frame") }
        try encoder.encode(nil, number: frames, into: muxer)
        try advanceSound(to: .infinity)
        try muxer.finish()
        try partial.publish()
        let all = notes + (encoded?.notes ?? [])
        return VideoReport(
            frames: frames, videoSeconds: seconds, audioSeconds: copied?.seconds ?? encoded?.seconds ?? 0,
            sound: copied?.summary ?? encoded?.summary ?? "none", notes: all)
    }

    private var seconds: Double { Double(frames) / Double(request.fps) }

    private mutating func advanceSound(to limit: Double) throws {
        try copied?.advance(to: limit, into: muxer)
        try encoded?.advance(to: limit, into: muxer)
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

    private static func makeMuxer(
        _ request: VideoRequest, _ encoder: borrowing VideoEncoder, _ partial: borrowing PartialOutput,
        _ container: Container, software: String, addSound: (borrowing Muxer) throws -> Void
    ) throws -> Muxer {
        let muxer = try Muxer(path: partial.url, container: container, name: request.url.path)
        let context = encoder.context
        let stream = try muxer.addStream(unit: context.pointee.time_base) {
            avcodec_parameters_from_context($0, context)
        }
        stream.pointee.avg_frame_rate = context.pointee.framerate
        try addSound(muxer)
        muxer.describe(
            software: software, declaresSynthetic: request.declaresSynthetic, notice: request.notice)
        try muxer.writeHeader()
        return muxer
    }
}
