import Foundation
import Viseme
import VisemeFFmpeg

/// A session's raw units for readers that want pictures and sound instead of a video: 40 ms a record, the planes of its picture and
/// its samples.
///
/// Without readers nothing is converted. A picture is converted once for all readers, and not at all if each of them has it.
actor UnitFeed {
    /// The end of an utterance between two units.
    struct End: Sendable {
        /// The utterance's name; empty for none.
        var name: String
        /// Samples of each channel of its sound that were given.
        var position: Int
        var isInterrupted: Bool
    }

    /// The most bytes of pictures that wait for one reader; but `least` units may always wait.
    private static let budget = 32 << 20
    private static let least = 8

    /// What a reader has.
    private struct Progress {
        /// Template frames below this number are sent once and then referred to.
        let kept: Int
        /// Whether it is told the mouth's shape.
        let hasShapes: Bool
        private var sent: Set<Int> = []
        private var isStarted = false

        init(kept: Int, hasShapes: Bool) { (self.kept, self.hasShapes) = (kept, hasShapes) }

        /// Whether the reader needs the planes of a unit's picture.
        ///
        /// - Parameters:
        ///   - template: The template frame that the picture is; nil for any other picture.
        ///   - isNew: Whether it is another picture than before.
        func needs(_ template: Int?, isNew: Bool) -> Bool {
            !isStarted || isNew && !(template.map { sent.contains($0) } ?? false)
        }

        /// The reader was sent planes, of a template frame to keep or of any picture.
        mutating func began(with template: UInt32?) {
            isStarted = true
            if let template { sent.insert(Int(template)) }
        }
    }

    private nonisolated let avatar: LoadedAvatar
    private let lagUnits: Int
    private var converter: PlaneConverter?
    private var readers = Readers<UnitRecord>()
    private var progress: [Int: Progress] = [:]
    private var present = PresentPicture()
    private var isEnded = false

    /// Makes a feed without readers.
    ///
    /// - Parameter lagUnits: The units that a reader may fall behind.
    init(_ avatar: LoadedAvatar, lagUnits: Int) { (self.avatar, self.lagUnits) = (avatar, lagUnits) }

    /// The number of readers.
    var readerCount: Int { readers.count }

    /// The units that may wait for a reader.
    ///
    /// - Parameter pictureBytes: The bytes of one picture.
    static func limit(lagUnits: Int, pictureBytes: Int) -> Int {
        min(lagUnits, max(least, budget / max(1, pictureBytes)))
    }

    /// Adds a reader. It begins with the next unit, whose picture is complete.
    ///
    /// - Parameters:
    ///   - kept: Template frames below this number are sent once, and then referred to by their number.
    ///   - hasShapes: Whether it is told the mouth's shape.
    ///   - limit: The most readers.
    ///   - session: Names the session in an error.
    ///   - disconnect: Closes the connection of a reader that falls behind.
    /// - Throws: `.busy` at the limit; `.notFound` when the feed has ended.
    func read(
        keeping kept: Int, hasShapes: Bool = false, upTo limit: Int, of session: String,
        disconnect: @escaping @Sendable () -> Void
    ) throws -> (number: Int, reader: Reader<UnitRecord>) {
        guard !isEnded else { throw VisemeError(.notFound, "Session '\(session)' has ended") }
        guard readers.count < limit else {
            throw VisemeError(.busy, "Session \(session) has \(readers.count) readers of units already")
        }
        let converter = try converter ?? makeConverter()
        self.converter = converter
        let reader = readers.add(
            limit: Self.limit(lagUnits: lagUnits, pictureBytes: converter.byteCount), disconnect: disconnect)
        progress[reader.number] = Progress(kept: kept, hasShapes: hasShapes)
        return reader
    }

    private func makeConverter() throws -> PlaneConverter {
        let manifest = avatar.engine.avatar.manifest
        return try PlaneConverter(width: manifest.width, height: manifest.height)
    }

    /// Removes a reader.
    func leave(_ number: Int) {
        readers.remove(number)
        progress[number] = nil
    }

    /// Sends the ends of utterances, then a unit, to all readers.
    ///
    /// - Parameter shape: What the mouth does, for readers that asked.
    /// - Returns: The number of readers that fell behind and were disconnected.
    func give(
        _ unit: LiveUnit, shape: MouthShape? = nil, name: String, ends: [End], state: UnitHeader.State
    ) async throws -> Int {
        let hasNew = present.take(unit)
        guard readers.count > 0, let converter else { return 0 }
        var header = header(number: unit.index, epoch: unit.epoch, state: state)
        var lost = mark(ends, header)
        if let utterance = unit.utterance {
            header.utterance = name
            header.position = UInt64(utterance.position)
            if utterance.isFirst { header.flags.insert(.first) }
            if utterance.isLast { header.flags.insert(.last) }
        }
        let template =
            present.drawn == nil
            ? present.templatePosition.map { avatar.engine.avatar.templateIndex(ofFrame: $0) } : nil
        let reading = progress
        // Otherwise every reader has the picture.
        let isNeeded = reading.values.contains { $0.needs(template, isNew: hasNew) }
        let planes = isNeeded ? try await converter.planes(of: try await present.picture(of: avatar.engine)) : Data()
        let sound = Self.s16le(unit.sound)
        header.soundBytes = UInt32(sound.count)
        for (number, reader) in reading {
            var record = UnitRecord(header: header, sound: sound)
            record.header.shape = reader.hasShapes ? shape : nil
            let known = template.flatMap { $0 < reader.kept ? UInt32($0) : nil }
            if reader.needs(template, isNew: hasNew) {
                (record.header.kind, record.picture) = (.planes, planes)
                record.header.pictureBytes = UInt32(planes.count)
                if let known { record.header.template = known }
                progress[number]?.began(with: known)
            } else if hasNew, let known {
                (record.header.kind, record.header.template) = (.template, known)
            }
            if readers.send(record, to: { $0 == number }) > 0 {
                progress[number] = nil
                lost += 1
            }
        }
        return lost
    }

    /// Ends all streams with the last ends of utterances and a record that says so.
    func finish(_ ends: [End], number: Int, epoch: Int) {
        isEnded = true
        var header = header(number: number, epoch: epoch, state: .ended)
        _ = mark(ends, header)
        header.flags = .mark
        readers.send(UnitRecord(header: header))
        readers.finish()
        (progress, converter, present) = ([:], nil, PresentPicture())
    }

    private func header(number: Int, epoch: Int, state: UnitHeader.State) -> UnitHeader {
        var header = UnitHeader()
        header.number = UInt32(truncatingIfNeeded: number)
        header.epoch = UInt32(truncatingIfNeeded: epoch)
        header.state = state
        header.width = UInt16(clamping: converter?.width ?? 0)
        header.height = UInt16(clamping: converter?.height ?? 0)
        header.rate = UInt32(LoadedAvatar.sound.rate)
        header.channels = UInt16(LoadedAvatar.sound.channels)
        return header
    }

    /// Sends the ends of utterances.
    private func mark(_ ends: [End], _ header: UnitHeader) -> Int {
        ends.reduce(0) { lost, end in
            var header = header
            header.flags = [.mark, end.isInterrupted ? .interrupted : .last]
            header.utterance = end.name
            header.position = UInt64(end.position)
            return lost + readers.send(UnitRecord(header: header))
        }
    }

    /// Samples −1…1 as 16-bit integers; the largest one is 32767.
    static func s16le(_ samples: [Float]) -> Data {
        let values = samples.map { sample in
            Int16(max(-32_768, min(32_767, (sample.isNaN ? 0 : sample * 32_768).rounded()))).littleEndian
        }
        return values.withUnsafeBytes { Data($0) }
    }
}
