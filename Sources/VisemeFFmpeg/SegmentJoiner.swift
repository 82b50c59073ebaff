import CFFmpeg
public import Foundation
public import Viseme

/// Joins the segments of a render: copies their pictures and the original sound, nothing is decoded or encoded again.
actor SegmentJoiner {
    private let executor = BlockingExecutor("join")

    /// The actor's own executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Reads the segments and puts them in order.
    func open(_ urls: [URL]) throws -> [SegmentFile] {
        guard !urls.isEmpty else { throw VisemeError(.usage, "No segment to join") }
        return try SegmentFile.ordered(
            urls.map {
                try Task.checkCancellation()
                return try SegmentFile($0)
            })
    }

    /// Writes the segments, which are in order, with the sound.
    func write(_ files: [SegmentFile], _ request: VideoRequest, software: String) throws -> VideoReport {
        guard let first = files.first else { throw VisemeError(.usage, "No segment to join") }
        let unit = AVRational(num: 1, den: Int32(request.fps))
        let model = try SegmentReader(first.url)
        var output = try SoundedOutput(request, software: software) { muxer in
            let stream = try muxer.addStream(unit: unit) { avcodec_parameters_copy($0, model.codec) }
            stream.pointee.avg_frame_rate = AVRational(num: unit.den, den: 1)
        }
        let packet = try Packet()
        let delay = files.map(\.delay).max() ?? 0
        var written = 0
        for file in files {
            var reader = try SegmentReader(file.url)
            var inFile = 0
            while let number = try reader.next(into: packet, fps: request.fps) {
                try Task.checkCancellation()
                packet.pointer.pointee.pts = Int64(file.range.lowerBound + number)
                packet.pointer.pointee.dts = Int64(written - delay)
                packet.pointer.pointee.duration = 1
                try output.muxer.write(packet, to: Muxer.videoStream, unit: unit)
                (written, inFile) = (written + 1, inFile + 1)
                try output.advanceSound(to: Double(written) / Double(request.fps))
            }
            guard inFile == file.frames else {
                throw VisemeError(.badData, "\(SegmentFile.label(file.url)) changed while it was read")
            }
        }
        return try output.finish(frames: written)
    }
}

extension FFmpeg {
    /// Joins the segments of one render, made with a range each, and the original sound to one video. Nothing is encoded again: its frames are
    /// those of the segments, one after the other, and the sound is carried as a whole render carries it.
    ///
    /// - Parameters:
    ///   - segments: Every segment once, in any order; together they hold every frame of the sound.
    ///   - sound: The speech that was rendered, or the same in another format.
    ///   - output: `.mp4`, `.mov` or `.mkv`.
    ///   - overwrite: Whether an existing output may be replaced.
    /// - Throws: `.badData` when frames are missing or there twice, when a segment is not whole or not of the same render, and when the
    ///   sound has another number of frames; the errors of `writer(_:)`.
    public func join(
        _ segments: [URL], sound: URL, to output: URL, overwrite: Bool = false
    ) async throws -> VideoReport {
        let joiner = SegmentJoiner()
        let files = try await joiner.open(segments)
        guard let first = files.first, let end = files.last?.range.upperBound else {
            throw VisemeError(.usage, "No segment to join")
        }
        let speech = try await speech(at: sound)
        var samples = 0
        while let some = try await speech.read() { samples += some.count }
        let total = try first.segment.frameTotal(samples: samples)
        guard total == end else {
            throw VisemeError(
                .badData, "The segments hold the frames 0:\(end), the sound '\(name(of: sound))' has \(total)",
                hint: total > end ? "render the rest: --range \(end):\(total)" : "give the sound that was rendered")
        }
        var request = VideoRequest(
            url: output, width: first.width, height: first.height, fps: first.segment.fps, sound: .init(url: sound),
            overwrite: overwrite, declaresSynthetic: files.contains(where: \.declaresSynthetic))
        request.notice = first.segment.notice
        try request.validate()
        guard !request.isImageFolder else {
            throw VisemeError(.usage, "'\(output.path)' is a folder: segments are joined to a video file")
        }
        var report = try await joiner.write(files, request, software: software)
        report.notes = await speech.warnings + report.notes
        return report
    }
}
