import CFFmpeg
import Foundation
public import Viseme

/// Encodes the units of a live session and writes them at once: H.264 without B-frames, a key frame every second, and AAC.
///
/// A unit without a picture repeats the previous one, so there are always 25 pictures per second.
public actor LiveWriter {
    private let executor = BlockingExecutor("live writer")
    private let request: LiveRequest
    private var production: LiveProduction?

    /// The actor's own executor.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ request: LiveRequest) { self.request = request }

    static func open(_ request: LiveRequest, software: String) async throws -> LiveWriter {
        let writer = LiveWriter(request)
        try await writer.start(software: software)
        return writer
    }

    private func start(software: String) throws { production = try LiveProduction(request, software: software) }

    /// Encodes and writes a unit. The first one must have a picture.
    ///
    /// - Throws: `.cannotCreate` for a full disk, a closed pipe or a lost connection. The output is then closed.
    public func append(_ unit: LiveUnit) throws {
        guard production != nil else { throw VisemeError(.usage, "'\(request.name)' is closed") }
        do {
            try production?.append(unit)
        } catch {
            production = nil
            throw error
        }
    }

    /// Completes the output; a file is renamed to its final name.
    public func finish() throws -> VideoReport {
        guard var finishing = production.take() else { throw VisemeError(.usage, "'\(request.name)' is closed") }
        return try finishing.finish()
    }

    /// Cancels the output and removes the file.
    public func cancel() { production = nil }
}

/// The state of a `LiveWriter`. The fields are destroyed in this order: the file is closed before it is removed.
private struct LiveProduction: ~Copyable {
    private var encoder: VideoEncoder
    private var audio: AACEncoder
    private let muxer: Muxer
    private var partial: PartialOutput?
    private let request: LiveRequest
    private var frames = 0

    init(_ request: LiveRequest, software: String) throws {
        // 4:2:0 needs an even width and height.
        let (width, height) = (request.width + request.width % 2, request.height + request.height % 2)
        let video = VideoRequest(
            url: URL(filePath: "live.mp4"), width: request.width, height: request.height, crf: request.crf)
        try video.validate()
        var partial: PartialOutput?
        var place: String
        switch request.output {
        case .standardOutput: place = "pipe:1"
        case .address(let address): place = address
        case .file(let url):
            let file = try PartialOutput(for: url, isFolder: false, overwrite: request.overwrite)
            place = location(of: file.url)
            partial = consume file
        }
        let muxer = try Muxer(location: place, request.effectiveContainer.layout, name: request.name)
        let encoder = try VideoEncoder(
            video, width: width, height: height, isLive: true, hasGlobalHeader: muxer.wantsGlobalHeader)
        let audio = try AACEncoder(request.sound, label: request.name)
        let (picture, sound) = (encoder.context, audio.context)
        let stream = try muxer.addStream(unit: picture.pointee.time_base) {
            avcodec_parameters_from_context($0, picture)
        }
        stream.pointee.avg_frame_rate = picture.pointee.framerate
        _ = try muxer.addStream(unit: sound.pointee.time_base) { avcodec_parameters_from_context($0, sound) }
        muxer.describe(software: software, declaresSynthetic: request.declaresSynthetic, notice: request.notice)
        try muxer.writeHeader()
        self.request = request
        self.encoder = encoder
        self.audio = audio
        self.muxer = muxer
        self.partial = partial.take()
    }

    mutating func append(_ unit: LiveUnit) throws {
        guard unit.sound.count == request.sound.valuesPerFrame else {
            throw VisemeError(
                .usage,
                "Unit \(unit.index) has \(unit.sound.count) values of sound, expected \(request.sound.valuesPerFrame)")
        }
        if let frame = unit.frame {
            let picture = frame.picture
            guard picture.width == request.width, picture.height == request.height else {
                throw VisemeError(
                    .usage,
                    "Unit \(unit.index) is \(picture.width)×\(picture.height), the video \(request.width)×\(request.height)"
                )
            }
            try encoder.encode(picture, number: frames, into: muxer)
        } else if frames > 0 {
            try encoder.encodeAgain(number: frames, into: muxer)
        } else {
            throw VisemeError(.usage, "The first unit has no picture")
        }
        frames += 1
        try audio.push(interleaved: unit.sound)
        try audio.encode(ended: false, into: muxer)
    }

    mutating func finish() throws -> VideoReport {
        if frames > 0 {
            try encoder.encode(nil, number: frames, into: muxer)
            try audio.encode(ended: true, into: muxer)
        }
        try muxer.finish()
        guard frames > 0 else { throw VisemeError(.badData, "'\(request.name)' has no frame: there was no speech") }
        try partial?.publish()
        return VideoReport(
            frames: frames, videoSeconds: Double(frames) / 25, audioSeconds: audio.seconds,
            sound: "encoded aac \(audio.rate) Hz \(audio.channels) channels")
    }
}
