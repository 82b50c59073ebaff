import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg
@testable import VisemeStreaming

@Suite("Shared idle pictures")
struct SpliceTests {
    private func plan(_ shown: [SplicePlan.Shown], joins: Set<Int> = [], shared: Range<Int>) -> [SplicePlan.Step] {
        var plan = SplicePlan()
        return shown.enumerated().map { index, shown in
            plan.step(shown, needsKey: index == 0 || joins.contains(index)) { (shared.contains($0), $0 % 5 == 0) }
        }
    }

    @Test("Shared pictures begin at a group, go on one by one, and end with a key frame of one's own")
    func steps() {
        let shown: [SplicePlan.Shown] =
            (3..<7).map { .template($0) } + [.drawn, .same] + (9..<12).map { .template($0) } + [.same, .template(13)]
        #expect(
            plan(shown, shared: 0..<100) == [
                .encode(isKey: true), .encode(isKey: false), .shared(5), .shared(6), .encode(isKey: true),
                .repeated(isKey: false), .encode(isKey: false), .shared(10), .shared(11), .repeated(isKey: true),
                .encode(isKey: false),
            ])
    }

    @Test("Who joins gets a key frame at once")
    func joining() {
        #expect(
            plan((0..<7).map { .template($0) }, joins: [2], shared: 0..<100) == [
                .shared(0), .shared(1), .encode(isKey: true), .encode(isKey: false), .encode(isKey: false), .shared(5),
                .shared(6),
            ])
    }

    @Test("What is not encoded yet is encoded by the session")
    func filling() {
        #expect(
            plan((0..<7).map { .template($0) }, shared: 5..<6) == [
                .encode(isKey: true), .encode(isKey: false), .encode(isKey: false), .encode(isKey: false),
                .encode(isKey: false), .shared(5), .encode(isKey: true),
            ])
    }

    @Test("A loop of few frames has groups, too", arguments: [(1, 25), (2, 24), (6, 20), (325, 648)])
    func periods(frames: Int, period: Int) {
        let loop = IdleLoop(frames: frames)
        #expect(loop.period == period && loop.isStart(0) && loop.isStart(period) && !loop.isStart(1))
    }

    @Test(
        "Shared and own pictures in one stream decode without a complaint, each to its own picture",
        .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"),
        arguments: [LiveRequest.Container.mp4, .ts])
    func decoding(container: LiveRequest.Container) async throws {
        let engine = try await TinyPack.engine("tiny")
        let avatar = try LoadedAvatar(id: "tiny", engine: engine, crf: 10)
        await avatar.isFilled()
        let loop = try #require(avatar.idleLoop)
        let encoder = try avatar.makeEncoder()
        let muxer = try LiveMuxer(avatar.format, container: container, software: "test")
        // Pictures of one's own: the template with a block that moves.
        func own(_ number: Int) async throws -> Image {
            var image = try await engine.templateFrame(at: number).image
            for y in 40..<80 {
                for x in 40..<80 {
                    for c in 0..<3 { image.bytes[(y * image.width + x) * 3 + c] = UInt8(number * 12 % 256) }
                }
            }
            return image
        }
        var plan = SplicePlan()
        var (expected, shared, joins) = ([Image](), 0, [0, 47])
        try await withTemporaryFolder { folder in
            var bytes = await muxer.header()
            for index in 0..<90 {
                // Idle, speech, idle again, a picture that stays.
                let isOwn = (25..<38).contains(index)
                let step = plan.step(
                    isOwn ? .drawn : index == 70 ? .same : .template(index), needsKey: joins.first == index
                ) { (loop.picture(at: $0) != nil, loop.isStart($0)) }
                if joins.first == index { joins.removeFirst() }
                let picture: EncodedUnit.Picture
                let wanted =
                    isOwn ? try await own(index) : try await engine.templateFrame(at: index == 70 ? 69 : index).image
                switch step {
                case .shared(let position):
                    picture = try #require(loop.picture(at: position))
                    shared += 1
                case .encode(let isKey): picture = try await encoder.picture(wanted, isKey: isKey)
                case .repeated(let isKey): picture = try await encoder.picture(isKey ? wanted : nil, isKey: isKey)
                }
                expected.append(wanted)
                let sound = try await encoder.sound([Float](repeating: 0.1, count: 1920))
                bytes += try await muxer.write(EncodedUnit(index: index, picture: picture, sound: sound))
            }
            let rest = try await encoder.finishSound()
            bytes += try await muxer.write(EncodedUnit(index: 90, picture: nil, sound: rest))
            bytes += try await muxer.finish()
            let file = folder.appending(path: "out.\(container.rawValue)")
            try bytes.write(to: file)
            #expect(shared > 40 && shared < 80)
            #expect(try await complaints(of: "ffmpeg", ["-v", "warning", "-i", file.path, "-f", "null", "-"]).isEmpty)

            let summary = try await FFmpeg().probe(file)
            let (video, audio) = (try #require(summary.video), try #require(summary.audio))
            #expect(video.packets == 90 && abs(video.startSeconds - audio.startSeconds - 1024 / 48000) < 0.001)
            #expect(abs(video.endSeconds - audio.endSeconds) < 0.04 + 1024 / 48000)
            let reader = try await FFmpeg().template(at: file, memory: 10_000_000)
            #expect(reader.frameCount == 90)
            for index in 0..<min(90, reader.frameCount) {
                let decoded = try await reader.frame(at: index).image()
                #expect(difference(decoded, expected[index]) < 5, "picture \(index)")
            }
        }
    }
}
