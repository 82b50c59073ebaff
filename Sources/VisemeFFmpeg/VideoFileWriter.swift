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

/// The state of a `VideoFileWriter`.
struct VideoProduction: ~Copyable {
    private var encoder: VideoEncoder
    private var output: SoundedOutput
    private let request: VideoRequest
    private var frames = 0

    init(_ request: VideoRequest, software: String) throws {
        // 4:2:0 needs an even width and height: the last column or row is repeated.
        let (width, height) = (request.width + request.width % 2, request.height + request.height % 2)
        var notes: [String] = []
        if width != request.width || height != request.height {
            notes.append(
                "H.264 needs an even width and height: \(request.width)×\(request.height) became \(width)×\(height).")
        }
        let encoder = try VideoEncoder(request, width: width, height: height)
        let context = encoder.context
        output = try SoundedOutput(request, software: software, notes: notes) { muxer in
            let stream = try muxer.addStream(unit: context.pointee.time_base) {
                avcodec_parameters_from_context($0, context)
            }
            stream.pointee.avg_frame_rate = context.pointee.framerate
        }
        self.encoder = encoder
        self.request = request
    }

    mutating func append(_ picture: any Picture) throws {
        guard picture.width == request.width, picture.height == request.height else {
            throw VisemeError(
                .usage,
                "Frame \(frames) is \(picture.width)×\(picture.height), the video \(request.width)×\(request.height)")
        }
        try encoder.encode(picture, number: frames, into: output.muxer)
        frames += 1
        try output.advanceSound(to: Double(frames) / Double(request.fps))
    }

    mutating func finish() throws -> VideoReport {
        guard frames > 0 else { throw VisemeError(.usage, "'\(request.url.path)' has no frame") }
        try encoder.encode(nil, number: frames, into: output.muxer)
        return try output.finish(frames: frames)
    }
}
