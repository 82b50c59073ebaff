import CFFmpeg
import Foundation
import Viseme

/// Writes frames as `000000.png`, `000001.png`, … into a folder.
actor ImageFolderWriter: VideoWriter {
    private let executor = BlockingExecutor("pictures")
    private let request: VideoRequest
    private var production: FolderProduction?

    /// The actor's own executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ request: VideoRequest) { self.request = request }

    /// Creates the folder under a temporary name.
    static func open(_ request: VideoRequest, software: String) async throws -> ImageFolderWriter {
        let writer = ImageFolderWriter(request)
        try await writer.start(software: software)
        return writer
    }

    private func start(software: String) throws {
        production = try FolderProduction(request, software: software)
    }

    /// Writes a frame as PNG.
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

    /// Renames the folder to its final name.
    func finish() throws -> VideoReport {
        guard var finishing = production.take() else { throw closed() }
        return try finishing.finish()
    }

    /// Removes what was written.
    func cancel() { production = nil }

    private func closed() -> VisemeError {
        VisemeError(.usage, "'\(request.url.path)' was finished or cancelled; it cannot be written")
    }
}

/// The state of an `ImageFolderWriter`.
struct FolderProduction: ~Copyable {
    private let encoder: PNGEncoder
    private var partial: PartialOutput
    private let request: VideoRequest
    private var frames = 0

    init(_ request: VideoRequest, software: String) throws {
        let encoder = try PNGEncoder(
            width: request.width, height: request.height, software: software, isMarked: request.declaresSynthetic,
            notice: request.notice)
        let partial = try PartialOutput(for: request.url, isFolder: true, overwrite: request.overwrite)
        self.request = request
        self.encoder = encoder
        self.partial = partial
    }

    mutating func append(_ picture: any Picture) throws {
        guard picture.width == request.width, picture.height == request.height else {
            throw VisemeError(
                .usage,
                "Frame \(frames) is \(picture.width)×\(picture.height), the video \(request.width)×\(request.height)")
        }
        let name = String(format: "%06d.png", frames)
        let data = try encoder.encode(picture.image())
        do {
            try data.write(to: partial.url.appendingPathComponent(name))
        } catch {
            throw VisemeError(
                .cannotCreate, "'\(name)' cannot be written for '\(request.url.path)'",
                hint: "check the disk", cause: error)
        }
        frames += 1
    }

    mutating func finish() throws -> VideoReport {
        guard frames > 0 else { throw VisemeError(.usage, "'\(request.url.path)' has no frame") }
        try partial.publish()
        return VideoReport(
            frames: frames, videoSeconds: Double(frames) / Double(request.fps), audioSeconds: 0, sound: "none",
            notes: request.sound == nil ? [] : ["A folder of images carries no sound."])
    }
}
