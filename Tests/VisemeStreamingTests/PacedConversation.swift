import Foundation
import Synchronization
import Viseme
import VisemeFFmpeg
import VisemeTestSupport

@testable import VisemeStreaming

/// A conversation on a clock that goes on when a test says so, with a reader of its units.
final class PacedConversation: Sendable {
    let conversation: Conversation
    let clock = ManualClock()
    private let running: Task<Void, any Error>
    private let reading: Task<Void, Never>
    private let read = Mutex<[UnitRecord]>([])

    init(_ settings: ConversationSettings = ConversationSettings(), slots: SpeakingSlots = SpeakingSlots(4, share: 4))
        async throws
    {
        let avatar = try LoadedAvatar(id: "tiny", engine: try await TinyPack.engine("tiny"), crf: 30)
        let conversation = try await Conversation(
            id: "s", avatar: avatar, client: "c", slots: slots, settings: settings, pace: .realTime(by: clock))
        let reader = try await conversation.read(keeping: 0) {}.reader
        self.conversation = conversation
        running = Task { try await conversation.run() }
        let (records, record) = AsyncStream<UnitRecord>.makeStream()
        reading = Task {
            for await element in reader.elements { record.yield(element) }
            record.finish()
        }
        self.records = records
        // The first unit needs no time.
        for await record in records {
            read.withLock { $0.append(record) }
            break
        }
    }

    private let records: AsyncStream<UnitRecord>

    /// Everything that was read so far.
    var all: [UnitRecord] { read.withLock { $0 } }

    /// Lets time pass, a unit at a time, and gives the records that came, marks included.
    @discardableResult
    func next(_ count: Int) async throws -> [UnitRecord] {
        var new: [UnitRecord] = []
        for _ in 0..<count {
            try await settle()
            clock.advance(by: .milliseconds(40))
            // The unit itself comes after its marks.
            for await record in records {
                new.append(record)
                if !record.header.flags.contains(.mark) || record.header.state == .ended { break }
            }
        }
        read.withLock { [new] in $0 += new }
        return new
    }

    /// The records that are left when the conversation has ended.
    func end() async throws -> [UnitRecord] {
        await conversation.end()
        clock.advance(by: .seconds(1))
        try await running.value
        var rest: [UnitRecord] = []
        for await record in records { rest.append(record) }
        read.withLock { [rest] in $0 += rest }
        return rest
    }

    /// Waits until as much speech waits as may, ten seconds and one that is planned: a request that has more is held up.
    func fill() async throws {
        while await conversation.status().queuedSeconds < 8.5 { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// Waits until everything was drawn and encoded that can be.
    func settle() async throws {
        while await !conversation.live.isQuiet { try await Task.sleep(for: .microseconds(200)) }
    }

    /// Says samples at 16 kHz as one request.
    @discardableResult
    func say(_ samples: [Int16], utterance: String? = nil, isWhole: Bool = false) async throws -> SpeechInput.Receipt {
        let (body, piece) = AsyncThrowingStream<Data, any Error>.makeStream()
        piece.yield(Waves.bytes(samples))
        piece.finish()
        return try await SpeechInput(into: conversation, media: FFmpeg()).say(
            RawSamples(format: .s16le, rate: 16_000, channels: 1), from: body, utterance: utterance, isWhole: isWhole)
    }
}

/// What a stream of units told of its named utterances.
struct Told {
    var ends: [String: [(position: Int, isInterrupted: Bool)]] = [:]
    var heard: [String: Int] = [:]
    var firsts: [String: Int] = [:]
    /// Sound or positions that do not fit together.
    var problems: [String] = []

    init(_ records: [UnitRecord]) {
        for record in records {
            let header = record.header
            let (name, position) = (header.utterance, Int(header.position))
            if header.flags.contains(.first) { firsts[name, default: 0] += 1 }
            if !header.flags.contains(.mark), !name.isEmpty {
                let step = position - heard[name, default: 0]
                if !(0...1920).contains(step) || ends[name] != nil { problems.append("\(name) at \(position)") }
                heard[name] = position
            }
            let isInterrupted = header.flags.contains(.interrupted)
            if isInterrupted || header.flags.contains(.last) {
                ends[name, default: []].append((position, isInterrupted))
            }
        }
    }
}
