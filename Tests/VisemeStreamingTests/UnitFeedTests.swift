import Foundation
import Testing
import VisemeFFmpeg
import VisemeTestSupport

@testable import Viseme
@testable import VisemeStreaming

@Suite("Unit feed", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct UnitFeedTests {
    private func unit(_ index: Int, template: Int? = nil, picture: Image? = nil) -> LiveUnit {
        let area = PixelArea(x: 0, y: 0, width: 1, height: 1)
        return LiveUnit(
            index: index,
            frame: picture.map { Frame(index: index, picture: $0, square: area, origin: .generated, durations: [:]) },
            templatePosition: template, sound: [Float](repeating: 0, count: 1920), featureWindow: nil)
    }

    private func feed() async throws -> (UnitFeed, LoadedAvatar) {
        let avatar = try LoadedAvatar(id: "tiny", engine: try await TinyPack.engine("tiny"), crf: 10)
        return (UnitFeed(avatar, lagUnits: 100), avatar)
    }

    private func give(_ feed: UnitFeed, _ unit: LiveUnit) async throws -> Int {
        try await feed.give(unit, name: "", ends: [], state: .idle)
    }

    private func records(_ reader: Reader<UnitRecord>) async -> [UnitRecord] {
        var records: [UnitRecord] = []
        for await record in reader.elements { records.append(record) }
        return records
    }

    @Test("Who asked for shapes has them in every unit, and nobody else") func shapes() async throws {
        let (feed, _) = try await feed()
        let asked = try await feed.read(keeping: 6, hasShapes: true, upTo: 4, of: "s") {}.reader
        let other = try await feed.read(keeping: 6, upTo: 4, of: "s") {}.reader
        let shapes = [MouthShape(jaw: 0.5), .rest, MouthShape(closure: 1)]
        for (index, shape) in shapes.enumerated() {
            _ = try await feed.give(unit(index, template: index), shape: shape, name: "", ends: [], state: .idle)
        }
        await feed.finish([], number: 3, epoch: 0)
        let (told, untold) = (await records(asked), await records(other))
        #expect(told.prefix(3).map(\.header.shape) == shapes && told.last?.header.shape == nil)
        #expect(untold.count == 4 && untold.allSatisfy { $0.header.shape == nil })
    }

    @Test(
        "Template frames are sent once to who keeps them, always to who does not, and drawn pictures always",
        arguments: [0, 3, 6])
    func references(kept: Int) async throws {
        let (feed, avatar) = try await feed()
        let reader = try await feed.read(keeping: kept, upTo: 4, of: "s") {}.reader
        let drawn = Image(width: 160, height: 120, grey: 200)
        // 1 2 3 4 5 4 3 2 1 0 1 …
        for index in 0..<25 {
            let lost = try await give(
                feed, index == 12 ? unit(12, picture: drawn) : index == 13 ? unit(13) : unit(index, template: index))
            #expect(lost == 0)
        }
        await feed.finish([], number: 25, epoch: 0)
        let records = await records(reader)
        #expect(records.count == 26 && records[25].header.state == .ended && records[25].header.flags == .mark)
        let converter = try PlaneConverter(width: 160, height: 120)
        var (shown, cache, sent) = (Data(), [UInt32: Data](), 0)
        for (index, record) in records.prefix(25).enumerated() {
            #expect(record.header.number == UInt32(index) && record.sound.count == 3840)
            #expect(Int(record.header.pictureBytes) == record.picture.count)
            switch record.header.kind {
            case .planes:
                shown = record.picture
                sent += 1
                if record.header.template != UnitHeader.noTemplate {
                    #expect(cache[record.header.template] == nil, "it was sent before")
                    cache[record.header.template] = shown
                }
            case .template: shown = try #require(cache[record.header.template])
            case .same: #expect(index == 13)
            }
            let wanted: any Picture =
                [12, 13].contains(index) ? drawn : try await avatar.engine.templateFrame(at: index).picture
            #expect(try await converter.planes(of: wanted) == shown, "unit \(index)")
        }
        #expect(cache.count == kept)
        let repeated = (0..<25).filter { ![12, 13].contains($0) && Avatar.pingPong($0, count: 6) < kept }.count
        #expect(sent == 24 - repeated + kept)
    }

    @Test("Who comes later begins with a whole picture, also while the picture stays")
    func joining() async throws {
        let (feed, _) = try await feed()
        _ = try await give(feed, unit(0, template: 0))
        let first = try await feed.read(keeping: 6, upTo: 4, of: "s") {}.reader
        _ = try await give(feed, unit(1))
        let second = try await feed.read(keeping: 0, upTo: 4, of: "s") {}.reader
        _ = try await give(feed, unit(2))
        _ = try await give(feed, unit(3, template: 0))
        await feed.finish([UnitFeed.End(name: "x", position: 5, isInterrupted: true)], number: 4, epoch: 2)
        let (one, two) = (await records(first), await records(second))
        #expect(one.map(\.header.kind) == [.planes, .same, .template, .same, .same])
        #expect(one[0].header.template == 1 && one[2].header.template == 1)
        #expect(two.map(\.header.kind) == [.planes, .planes, .same, .same])
        #expect(one[0].picture == two[0].picture)
        #expect(
            one[3].header.flags == [.mark, .interrupted] && one[3].header.utterance == "x"
                && one[3].header.position == 5)
    }

    @Test("A reader that falls behind is disconnected; the others miss nothing; the queue has a bound in bytes")
    func slow() async throws {
        let (feed, _) = try await feed()
        let (closed, close) = AsyncStream<Void>.makeStream()
        let slow = try await feed.read(keeping: 0, upTo: 4, of: "s") { close.finish() }.reader
        let good = try await feed.read(keeping: 6, upTo: 4, of: "s") {}.reader
        let reading = Task { await records(good) }
        var lost = 0
        for index in 0..<150 {
            lost += try await give(feed, unit(index, template: index))
            try await Task.sleep(for: .milliseconds(1))
        }
        for await _ in closed {}
        #expect(lost == 1)
        #expect(await feed.readerCount == 1)
        await feed.finish([], number: 150, epoch: 0)
        #expect(await reading.value.map(\.header.number) == Array(0...150))
        #expect(await records(slow).count == 100)
        await #expect(throws: VisemeError.self) { _ = try await feed.read(keeping: 0, upTo: 4, of: "s") {} }

        #expect(UnitFeed.limit(lagUnits: 100, pictureBytes: 1280 * 720 * 3 / 2) == 24)
        #expect(UnitFeed.limit(lagUnits: 100, pictureBytes: 7680 * 4320 * 3 / 2) == 8)
        #expect(UnitFeed.limit(lagUnits: 4, pictureBytes: 1) == 4)
    }

    @Test("There are no more readers than the limit")
    func limit() async throws {
        let (feed, _) = try await feed()
        let number = try await feed.read(keeping: 0, upTo: 1, of: "s") {}.number
        let error = await #expect(throws: VisemeError.self) { _ = try await feed.read(keeping: 0, upTo: 1, of: "s") {} }
        #expect(error?.code == .busy)
        await feed.leave(number)
        _ = try await feed.read(keeping: 0, upTo: 1, of: "s") {}
    }

    @Test(
        "The pictures are the frames of a render of the same speech, to the bit",
        arguments: [("tiny", false), ("tiny", true), ("compact", false), ("compact", true)])
    func rendered(pack: String, hasVideo: Bool) async throws {
        try await withTemporaryFolder { folder in
            if hasVideo { try await TinyPack.writeWithVideo(pack, frames: 5, into: folder) }
            let engine = try await TinyPack.engine(pack, in: hasVideo ? folder : TinyPack.folder)
            let avatar = try LoadedAvatar(id: pack, engine: engine, crf: 10)
            let speech = folder.appending(path: "speech.wav")
            try Waves.wave(Waves.tone(seconds: 2.1)).write(to: speech)
            let video = folder.appending(path: "render.mp4")
            var render = Render(engine: engine, media: FFmpeg(), audio: speech)
            render.crf = 0  // lossless
            _ = try await render.run(to: video)
            let decoded = try await FFmpeg().template(at: video, memory: 1 << 24)

            var settings = LiveSession.Settings()
            settings.pace = .none
            settings.sound = LoadedAvatar.sound
            let live = try await LiveSession(engine, settings: settings)
            let feed = UnitFeed(avatar, lagUnits: 100)
            let reader = try await feed.read(keeping: 0, upTo: 1, of: "s") {}.reader
            let source = try await FFmpeg().liveSource(at: speech, sound: LoadedAvatar.sound)
            while let (samples, sound) = try await source.read() { try await live.push(samples, sound: sound) }
            await live.end()
            var count = 0
            for try await unit in live.units {
                _ = try await feed.give(unit, name: "", ends: [], state: .speaking)
                count += 1
            }
            await feed.finish([], number: count, epoch: 0)
            let units = await records(reader).dropLast()
            #expect(units.count == 53 && decoded.frameCount == 53)
            let manifest = engine.avatar.manifest
            let converter = try PlaneConverter(width: manifest.width, height: manifest.height)
            var different: [Int] = []
            for (index, unit) in units.enumerated() {
                let frame = try await decoded.frame(at: index)
                if try await converter.planes(of: frame) != unit.picture { different.append(index) }
            }
            #expect(different.isEmpty)
            #expect(Set(units.map(\.picture)).count > 20, "the mouth does not move: the test says nothing")
        }
    }
}
