import CFFmpeg
import Foundation
import Viseme

/// A segment of a render, read through once: what it holds, and whether its packets are whole.
struct SegmentFile {
    /// The file.
    let url: URL
    /// What it says that it holds.
    let segment: VideoSegment
    /// Its frames.
    let frames: Int
    /// The most places that a frame comes later in the file than in the picture, because of B-frames.
    let delay: Int
    /// What decodes it: the parameter sets.
    let parameters: Data
    let width: Int
    let height: Int
    /// Whether it says that it was made by a trained model.
    let declaresSynthetic: Bool

    /// The frames that it holds of the whole.
    var range: Range<Int> { segment.firstFrame..<segment.firstFrame + frames }

    /// The name of a segment's file in messages.
    static func label(_ url: URL) -> String { "Segment '\(VisemeFFmpeg.name(of: url))'" }

    /// Reads the file.
    ///
    /// - Throws: `.noInput`; `.badData` when it is not a segment, or not whole.
    init(_ url: URL) throws {
        let label = Self.label(url)
        var reader = try SegmentReader(url)
        guard let text = reader.metadata(VideoSegment.key), let segment = VideoSegment(text: text) else {
            throw VisemeError(
                .badData, "\(label) does not say which frames it holds",
                hint: "only parts of one render can be joined: viseme render --range FROM:TO")
        }
        guard segment.firstFrame >= 0, (1...1000).contains(segment.fps) else {
            throw VisemeError(.badData, "\(label) says that it begins with frame \(segment.firstFrame)")
        }
        let packet = try Packet()
        var numbers: [Int] = []
        while let number = try reader.next(into: packet, fps: segment.fps) {
            guard numbers.count > 0 || packet.pointer.pointee.flags & AV_PKT_FLAG_KEY != 0 else {
                throw VisemeError(.badData, "\(label) does not begin with a key frame", hint: Self.again)
            }
            numbers.append(number)
        }
        guard !numbers.isEmpty, numbers.sorted().elementsEqual(0..<numbers.count) else {
            throw VisemeError(
                .badData, "\(label) is not whole: its \(numbers.count) pictures are not one after the other",
                hint: Self.again)
        }
        self.url = url
        self.segment = segment
        frames = numbers.count
        delay = numbers.enumerated().map { $0 - $1 }.max() ?? 0
        parameters = reader.parameters
        (width, height) = reader.size
        declaresSynthetic = reader.metadata(SyntheticMark.key) == SyntheticMark.sourceType
    }

    private static let again = "render it again: viseme render --range FROM:TO"

    /// Puts the segments of one render in order.
    ///
    /// - Throws: `.badData` when frames are missing or there twice, or when they are not of one render.
    static func ordered(_ files: [SegmentFile]) throws -> [SegmentFile] {
        let files = files.sorted { ($0.range.lowerBound, $0.url.path) < ($1.range.lowerBound, $1.url.path) }
        var end = 0
        for file in files {
            let label = label(file.url)
            guard file.range.lowerBound == end else {
                let problem =
                    file.range.lowerBound > end
                    ? "frames \(end):\(file.range.lowerBound) are missing before it"
                    : "the frames up to \(end) are in another segment, too"
                throw VisemeError(
                    .badData,
                    "\(label) holds the frames \(file.range.lowerBound):\(file.range.upperBound), but \(problem)",
                    hint: "give every segment once; the order does not matter")
            }
            end = file.range.upperBound
            guard let first = files.first, file.segment.isOfOneRender(with: first.segment) else {
                throw VisemeError(
                    .badData, "\(label) was made of another avatar or of another sound than the others",
                    hint: "join the segments of one render")
            }
            guard (file.parameters, file.width, file.height) == (first.parameters, first.width, first.height) else {
                throw VisemeError(
                    .badData, "\(label) was encoded with other settings than '\(name(of: first.url))'",
                    hint: "render all segments with the same --crf and the same version of libx264")
            }
        }
        return files
    }
}

/// Reads the pictures of a segment's file, without decoding them.
struct SegmentReader: ~Copyable {
    private let demuxer: Demuxer
    private let stream: UnsafeMutablePointer<AVStream>
    private let number: Int32
    private let label: String
    private var first: Int64?
    private var read = 0

    init(_ url: URL) throws {
        let label = SegmentFile.label(url)
        let demuxer = try Demuxer(url, as: "Segment")
        guard let number = demuxer.select(AVMEDIA_TYPE_VIDEO), let stream = demuxer.stream(number),
            stream.pointee.codecpar.pointee.codec_id == AV_CODEC_ID_H264
        else { throw VisemeError(.badData, "\(label) has no H.264 video; found: \(demuxer.describeStreams())") }
        self.demuxer = demuxer
        self.stream = stream
        self.number = Int32(number)
        self.label = label
    }

    /// What decodes it; valid as long as this reader.
    var codec: UnsafeMutablePointer<AVCodecParameters> { stream.pointee.codecpar }

    /// The parameter sets.
    var parameters: Data {
        guard let bytes = codec.pointee.extradata else { return Data() }
        return Data(bytes: bytes, count: Int(codec.pointee.extradata_size))
    }

    /// Width and height in pixels.
    var size: (Int, Int) { (Int(codec.pointee.width), Int(codec.pointee.height)) }

    /// An entry of the container's metadata.
    func metadata(_ key: String) -> String? {
        av_dict_get(demuxer.context.pointee.metadata, key, nil, 0).map { text($0.pointee.value) }
    }

    /// Reads the next picture's packet.
    ///
    /// - Returns: The picture's number, the first in the file being 0; nil at the end.
    /// - Throws: `.badData` for a damaged file.
    mutating func next(into packet: borrowing Packet, fps: Int) throws -> Int? {
        while true {
            let status = demuxer.read(into: packet)
            if status == viseme_error_end() { return nil }
            try check(status, Purpose(.badData, "\(label) is damaged after \(read) pictures"))
            let raw = packet.pointer.pointee
            guard raw.stream_index == number else { continue }
            let unit = stream.pointee.time_base
            guard raw.flags & (AV_PKT_FLAG_CORRUPT | AV_PKT_FLAG_DISCARD) == 0, raw.pts != viseme_no_timestamp(),
                unit.num > 0, unit.den > 0
            else { throw VisemeError(.badData, "\(label) has a picture that is damaged, hidden or without a time") }
            let begin = first ?? raw.pts
            first = begin
            read += 1
            // Matroska rounds to milliseconds.
            let place = Double(raw.pts &- begin) * Double(unit.num) / Double(unit.den) * Double(fps)
            guard abs(place) < 1e9, abs(place - place.rounded()) < 0.1 else {
                throw VisemeError(.badData, "\(label) has a picture between two frames of \(fps) a second")
            }
            return Int(place.rounded())
        }
    }
}

extension VideoSegment {
    /// The key of the container's metadata.
    static let key = "VisemeSegment"

    /// As it is written into the file of a part of a sound.
    func text(sound url: URL) throws -> String {
        var written = self
        do {
            let file = try FileHandle(forReadingFrom: url)
            defer { try? file.close() }  // it was only read
            // Hours of sound would take seconds: the first megabyte and the size.
            let head = try file.read(upToCount: 1 << 20) ?? Data()
            written.sound = Self.digest(of: head + Data("\(try file.seekToEnd())".utf8))
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(written), as: UTF8.self)
        } catch {
            throw VisemeError(.noInput, "The sound '\(name(of: url))' cannot be read", cause: error)
        }
    }

    /// Whether both are parts of the same render.
    func isOfOneRender(with other: VideoSegment) -> Bool {
        var moved = other
        moved.firstFrame = firstFrame
        return self == moved
    }

    /// Reads what was written; nil for anything else.
    init?(text: String) {
        guard let read = try? JSONDecoder().decode(VideoSegment.self, from: Data(text.utf8)) else { return nil }
        self = read
    }
}
