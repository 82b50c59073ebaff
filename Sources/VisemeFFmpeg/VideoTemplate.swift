import CFFmpeg
import Foundation
import Viseme

/// Template frames from a video file.
struct VideoTemplate: TemplateReader {
    /// The number of frames.
    let frameCount: Int
    /// The width of every frame in pixels.
    let width: Int
    /// The height of every frame in pixels.
    let height: Int
    private let decoder: VideoFrameDecoder

    /// Reads all packets once and indexes the frames.
    static func open(_ url: URL, memory: Int) async throws -> VideoTemplate {
        let decoder = VideoFrameDecoder()
        let shape = try await decoder.start(url, memory: memory)
        return VideoTemplate(frameCount: shape.frames, width: shape.width, height: shape.height, decoder: decoder)
    }

    /// Frame `index` in 0..<frameCount.
    func frame(at index: Int) async throws -> any Picture {
        precondition(index >= 0 && index < frameCount, "a template frame is in 0..<frameCount")
        return try await decoder.frame(at: index)
    }

    func forget() async { await decoder.forget() }

    /// The numbers of pictures decoded since opening and kept now, for tests.
    var decodedPictures: Int { get async { await decoder.decodedPictures } }
    var keptPictures: Int { get async { await decoder.keptPictures } }
}

/// Owns the native handles of a `VideoTemplate`.
actor VideoFrameDecoder {
    private let executor = BlockingExecutor("template")
    private var video: IndexedVideo?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    func start(_ url: URL, memory: Int) throws -> (frames: Int, width: Int, height: Int) {
        let opened = try IndexedVideo(url, memory: memory)
        let shape = (opened.index.count, opened.width, opened.height)
        video = consume opened
        return shape
    }

    var decodedPictures: Int { video?.decodedPictures ?? 0 }
    var keptPictures: Int { video?.keptPictures ?? 0 }

    func forget() { video?.forget() }

    func frame(at index: Int) throws -> any Picture {
        try Task.checkCancellation()
        guard let picture = try video?.picture(at: index) else {
            throw VisemeError(.internal, "Template frame \(index) was asked for before the video was open")
        }
        return picture
    }
}

/// A video with a frame index, a decoder with its position, and a cache.
struct IndexedVideo: ~Copyable {
    private let demuxer: Demuxer
    private let decoder: Decoder
    private let packet: Packet
    private let frame: AVFrameBox
    private let streamIndex: Int
    private let label: String
    private var pixels: PixelReader
    private var cache: FrameCache
    /// The frame that the decoder returns next without a seek; nil after the end or an error.
    private var next: Int?
    private var drained = false
    /// Seeks so far. The first is the start; with the second, playback has turned, or there is another reader.
    private var jumps = 0
    /// One reader who never went back: no frame is needed again before the end of the template, when all of them would be.
    private var goesForward: Bool { jumps < 2 && cache.capacity < index.count }

    let index: FrameIndex
    let width: Int
    let height: Int
    private(set) var decodedPictures = 0
    var keptPictures: Int { cache.count }

    init(_ url: URL, memory: Int) throws {
        let demuxer = try Demuxer(url, as: "Template")
        let label = "Template '\(demuxer.name)'"
        guard let number = demuxer.select(AVMEDIA_TYPE_VIDEO), let stream = demuxer.stream(number),
            let parameters = stream.pointee.codecpar
        else {
            throw VisemeError(.badData, "\(label) has no picture; found: \(demuxer.describeStreams())")
        }
        let (width, height) = (Int(parameters.pointee.width), Int(parameters.pointee.height))
        guard width > 0, height > 0 else {
            throw VisemeError(.badData, "\(label) has the invalid size \(width)×\(height)")
        }
        try Self.requireUpright(stream, label: label)
        let packet = try Packet()
        let frame = try AVFrameBox()
        let decoder = try Decoder(stream, label: label)
        let index = try Self.readIndex(demuxer, stream: number, packet: packet, label: label)
        try index.requireRegular(unit: stream.pointee.time_base, label: label)
        let pixels = PixelReader(width: width, height: height)
        self.demuxer = demuxer
        self.label = label
        self.streamIndex = number
        (self.width, self.height) = (width, height)
        self.packet = packet
        self.frame = frame
        self.decoder = decoder
        self.index = index
        self.pixels = pixels
        let format = AVPixelFormat(parameters.pointee.format)
        cache = FrameCache(
            memory: memory, frameBytes: PlanarPicture.isKept(format) ? width * height * 3 / 2 : width * height * 3)
    }

    /// Refuses rotated or stretched video: pictures are used as stored.
    private static func requireUpright(_ stream: UnsafeMutablePointer<AVStream>, label: String) throws {
        let angle = viseme_rotation(stream)
        guard abs(angle) < 0.5 || angle.isNaN else {
            throw VisemeError(
                .badData,
                "\(label) is rotated by \(Int(angle.rounded()))°, expected upright pictures",
                hint: FrameIndex.conversion)
        }
        let aspect = stream.pointee.codecpar.pointee.sample_aspect_ratio
        guard aspect.num <= 0 || aspect.den <= 0 || aspect.num == aspect.den else {
            throw VisemeError(
                .badData, "\(label) has pixels of \(aspect.num):\(aspect.den), expected square ones",
                hint: FrameIndex.conversion)
        }
    }

    mutating func forget() { cache.forget() }

    mutating func picture(at wanted: Int) throws -> any Picture {
        if let picture = cache.request(wanted) { return picture }
        let key = index.key(for: wanted)
        let first = index.firstFrame(from: key)
        // Decoding on is cheaper than a seek while no key frame is between.
        if let next, next <= wanted, next >= first { return try decode(upTo: wanted, keepingFrom: wanted) }
        let end = index.lastFrame(from: key) + 1
        // A second reader, such as another session, takes the decoder away at each frame: so each gets a group at a time.
        let takesTurns = decodedPictures > 0 && 2 * (end - first) <= cache.capacity
        let lowest = takesTurns ? first : cache.isBackward ? wanted - cache.capacity + 1 : wanted
        let picture: any Picture
        do {
            try jump(to: key)
            picture = try decode(upTo: wanted, keepingFrom: lowest)
        } catch let error as VisemeError where error.code == .badData {
            // In an open group some pictures reference those before the key frame.
            guard let earlier = index.key(before: key) else { throw error }
            try jump(to: earlier)
            picture = try decode(upTo: wanted, keepingFrom: lowest)
        }
        if takesTurns {
            do {
                for ahead in wanted + 1..<max(wanted + 1, end) where !cache.contains(ahead) && next == ahead {
                    _ = try decode(upTo: ahead, keepingFrom: ahead)
                }
            } catch {
                // Nobody has asked for that frame: whoever does is told.
                next = nil
            }
        }
        return picture
    }

    /// Decodes up to a frame; caches frames from `lowest` on.
    private mutating func decode(upTo wanted: Int, keepingFrom lowest: Int) throws -> any Picture {
        while true {
            switch try decoder.receive(into: frame) {
            case .frame:
                decodedPictures += 1
                let time = frame.pointer.pointee.best_effort_timestamp
                guard let found = index.frame(at: time), let expected = next, found >= expected else { continue }
                guard found <= wanted else { throw lost(expected) }
                guard viseme_frame_is_damaged(frame.pointer) == 0 else { throw lost(found) }
                next = found + 1
                guard found >= lowest, !cache.contains(found) || found == wanted else { continue }
                let picture = try pixels.picture(of: frame, label: "\(label), frame \(found),")
                cache.insert(picture, at: found, alone: goesForward)
                if found == wanted { return picture }
            case .needsPacket: try feed()
            // After a seek, pictures that reference earlier ones cannot be decoded, and are not needed.
            case .damaged: continue
            case .ended: throw lost(next ?? wanted)
            }
        }
    }

    private mutating func lost(_ number: Int) -> VisemeError {
        next = nil
        return VisemeError(
            .badData, "\(label): frame \(number) of \(index.count) cannot be decoded",
            hint: "check it with: ffmpeg -v error -i '\(demuxer.name)' -f null -")
    }

    private mutating func feed() throws {
        while true {
            let status = demuxer.read(into: packet)
            if status == viseme_error_end() {
                guard !drained else { throw lost(next ?? 0) }
                drained = true
                return decoder.sendEnd()
            }
            guard status >= 0 else { throw lost(next ?? 0) }
            guard packet.pointer.pointee.stream_index == Int32(streamIndex) else { continue }
            if decoder.send(packet) { return }
        }
    }

    /// Seeks to a key packet: it is the next packet to decode.
    private mutating func jump(to key: Int) throws {
        next = nil
        jumps += 1
        decoder.reset()
        drained = false
        for target in [index.entries[key].decodingTime, index.entries[0].decodingTime] {
            guard av_seek_frame(demuxer.context, Int32(streamIndex), target, AVSEEK_FLAG_BACKWARD) >= 0 else {
                continue
            }
            while demuxer.read(into: packet) >= 0 {
                guard packet.pointer.pointee.stream_index == Int32(streamIndex) else { continue }
                guard let position = index.position(of: packet.pointer.pointee.pts), position <= key else { break }
                guard position == key else { continue }
                next = index.firstFrame(from: key)
                guard decoder.send(packet) else { throw lost(index.firstFrame(from: key)) }
                return
            }
        }
        throw VisemeError(
            .badData, "\(label): cannot seek to the key frame at packet \(key)",
            hint: "rewrite it, for example: ffmpeg -i IN -c:v libx264 -g 25 OUT.mp4")
    }

    private static func readIndex(
        _ demuxer: borrowing Demuxer, stream: Int, packet: borrowing Packet, label: String
    ) throws -> FrameIndex {
        var entries: [FrameIndex.Entry] = []
        while true {
            let status = demuxer.read(into: packet)
            if status == viseme_error_end() { break }
            try check(status, Purpose(.badData, "\(label) is damaged after \(entries.count) frames"))
            let raw = packet.pointer.pointee
            guard raw.stream_index == Int32(stream) else { continue }
            guard raw.pts != viseme_no_timestamp() else {
                throw VisemeError(
                    .unsupported, "\(label) has pictures without timestamps",
                    hint: "put it into a container, for example: ffmpeg -i IN -c:v libx264 -g 25 OUT.mp4")
            }
            entries.append(
                FrameIndex.Entry(
                    timestamp: raw.pts, decodingTime: raw.dts == viseme_no_timestamp() ? raw.pts : raw.dts,
                    isKey: raw.flags & AV_PKT_FLAG_KEY != 0, isHidden: raw.flags & AV_PKT_FLAG_DISCARD != 0))
        }
        return try FrameIndex(entries, label: label)
    }
}
