import Foundation
import Testing
import VisemeTestSupport
import Viseme

@testable import VisemeFFmpeg

@Suite("Template frames")
struct TemplateTests {
    let scratch: Scratch
    let backend = FFmpeg()

    init() throws { scratch = try Scratch() }

    /// The ping-pong order of the contract.
    private func pingPong(_ frame: Int, _ count: Int) -> Int {
        guard count > 1 else { return 0 }
        let position = (frame + 1) % (2 * (count - 1))
        return position < count ? position : 2 * (count - 1) - position
    }

    @Test("In any order the frames are those of a straight run", arguments: [0, 20_000, 200_000, 10_000_000])
    func anyOrder(memory: Int) async throws {
        let url = scratch.file("v.mp4")
        try await Pictures.write(260, to: url)
        let straight = try await backend.template(at: url, memory: 10_000_000)
        #expect((straight.frameCount, straight.width, straight.height) == (260, 64, 48))
        var truth: [Image] = []
        for number in 0..<260 { truth.append(try await straight.frame(at: number).image()) }
        let other = try await backend.template(at: url, memory: memory)
        var numbers = SeededRandom(7)
        let order = [259, 0, 100, 99, 101, 258, 259] + (0..<40).map { _ in Int.random(in: 0..<260, using: &numbers) }
        for number in order {
            #expect(try await other.frame(at: number).image() == truth[number], "frame \(number)")
        }
        for step in 0..<540 {
            let number = pingPong(step, 260)
            guard try await other.frame(at: number).image() == truth[number] else {
                Issue.record("step \(step), frame \(number)")
                return
            }
        }
    }

    @Test("A ping-pong decodes every frame about once a loop when a group of pictures fits")
    func pingPongCost() async throws {
        let url = scratch.file("v.mp4")
        try await Pictures.write(260, to: url)
        // Key frames come every 100 frames: 120 fit.
        let template = try await VideoTemplate.open(url, memory: 120 * 64 * 48 * 3)
        for step in 0..<518 { _ = try await template.frame(at: pingPong(step, 260)) }
        let first = await template.decodedPictures
        #expect(first <= 2 * 260)
        for step in 518..<1036 { _ = try await template.frame(at: pingPong(step, 260)) }
        #expect(await template.decodedPictures - first <= 2 * 260)
        let roomy = try await VideoTemplate.open(url, memory: 260 * 64 * 48 * 3)
        for step in 0..<1036 { _ = try await roomy.frame(at: pingPong(step, 260)) }
        #expect(await roomy.decodedPictures <= 260 + 8)
    }

    @Test("Reading forward keeps one frame; what is kept after a turn is given back on demand")
    func forward() async throws {
        let url = scratch.file("v.mp4")
        try await Pictures.write(260, to: url)
        let template = try await VideoTemplate.open(url, memory: 120 * 64 * 48 * 3)
        for number in 0..<150 { _ = try await template.frame(at: number) }
        #expect(await template.keptPictures == 1)
        #expect(await template.decodedPictures <= 150 + 8)
        for number in stride(from: 149, to: 120, by: -1) { _ = try await template.frame(at: number) }
        #expect(await template.keptPictures >= 40)
        await template.forget()
        #expect(await template.keptPictures == 0)
        let after = try await template.frame(at: 120).image()
        let plain = try await VideoTemplate.open(url, memory: 0)
        #expect(try await plain.frame(at: 120).image() == after)
    }

    @Test("Images in a folder are frames, 0-based or 1-based, padded or not")
    func images() async throws {
        let folder = scratch.url.appendingPathComponent("frames", isDirectory: true)
        try await Pictures.write(5, to: folder)
        for url in [folder, folder.appendingPathComponent("%06d.png")] {
            let template = try await backend.template(at: url, memory: 30_000)
            #expect((template.frameCount, template.width, template.height) == (5, 64, 48))
            for number in [0, 4, 2, 3, 1] {
                #expect(try await template.frame(at: number).image() == Pictures.frame(number))
            }
        }
        let other = scratch.url.appendingPathComponent("plain", isDirectory: true)
        try FileManager.default.createDirectory(at: other, withIntermediateDirectories: false)
        for number in 0..<5 {
            let source = folder.appendingPathComponent(String(format: "%06d.png", number))
            try FileManager.default.copyItem(at: source, to: other.appendingPathComponent("\(number + 1).png"))
        }
        let template = try await backend.template(at: other.appendingPathComponent("%d.png"), memory: 0)
        #expect(template.frameCount == 5)
        #expect(try await template.frame(at: 4).image() == Pictures.frame(4))
        try FileManager.default.removeItem(at: other.appendingPathComponent("3.png"))
        let error = await failure { _ = try await backend.template(at: other, memory: 0) }
        #expect(error?.code == .badData)
        #expect(error?.message.contains("image 3") == true)
    }

    @Test("PNG images say that a model made them")
    func imageMark() async throws {
        let folder = scratch.url.appendingPathComponent("frames", isDirectory: true)
        try await Pictures.write(1, to: folder)
        let bytes = try Data(contentsOf: folder.appendingPathComponent("000000.png"))
        #expect(bytes.range(of: Data("digitalsourcetype/trainedAlgorithmicMedia".utf8)) != nil)
        #expect(bytes.range(of: Data("XML:com.adobe.xmp".utf8)) != nil)
        let plain = scratch.url.appendingPathComponent("plain", isDirectory: true)
        try await Pictures.write(1, to: plain, declaresSynthetic: false)
        let other = try Data(contentsOf: plain.appendingPathComponent("000000.png"))
        #expect(other.range(of: Data("trainedAlgorithmicMedia".utf8)) == nil)
    }

    @Test("A folder of images is replaced only when it holds nothing else")
    func imageFolderKept() async throws {
        let folder = scratch.url.appendingPathComponent("frames", isDirectory: true)
        try await Pictures.write(3, to: folder)
        #expect(await failure { try await Pictures.write(1, to: folder) }?.code == .cannotCreate)
        try await Pictures.write(1, to: folder, overwrite: true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["000000.png"])
        try Data([1]).write(to: folder.appendingPathComponent("diary.txt"))
        let error = await failure { try await Pictures.write(1, to: folder, overwrite: true) }
        #expect(error?.code == .cannotCreate)
        #expect(error?.message.contains("diary.txt") == true)
        #expect(try scratch.names() == ["frames"])
    }

    @Test("No picture, no file, no images: errors that name the thing")
    func badTemplates() async throws {
        let sound = try scratch.write(Wave(channels: [Wave.sine(3000, rate: 16_000)]).bytes, "a.wav")
        let error = await failure { _ = try await backend.template(at: sound, memory: 0) }
        #expect(error?.code == .badData)
        #expect(error?.message.contains("audio pcm_s16le") == true)
        #expect(
            await failure { _ = try await backend.template(at: scratch.file("no.mp4"), memory: 0) }?.code == .noInput)
        #expect(await failure { _ = try await backend.template(at: scratch.url, memory: 0) }?.code == .noInput)
        #expect(
            await failure { _ = try await backend.template(at: scratch.file("no/%06d.jpg"), memory: 0) }?.code
                == .noInput)
        let text = try scratch.write(Array("no picture".utf8), "0.jpg")
        #expect(
            await failure { _ = try await backend.template(at: scratch.file("%d.jpg"), memory: 0) }?.code == .badData)
        try FileManager.default.removeItem(at: text)
    }

    @Test("A frame index sorts frames by time and finds the key frame before each")
    func index() throws {
        // Decoding order I P B B, open group: the second key frame comes before two frames that are shown earlier.
        let shown: [(Int64, Bool)] = [
            (0, true), (3, false), (1, false), (2, false), (6, true), (4, false), (5, false), (7, false),
        ]
        let entries = shown.enumerated().map {
            FrameIndex.Entry(timestamp: $1.0, decodingTime: Int64($0), isKey: $1.1, isHidden: false)
        }
        let index = try FrameIndex(entries, label: "x")
        #expect(index.timestamps == [0, 1, 2, 3, 4, 5, 6, 7])
        #expect((0..<8).map { index.key(for: $0) } == [0, 0, 0, 0, 0, 0, 4, 4])
        #expect(index.firstFrame(from: 4) == 6)
        #expect(index.frame(at: 5) == 5)
        #expect(index.position(of: 5) == 6)
        #expect(throws: VisemeError.self) { try FrameIndex([], label: "x") }
        #expect(throws: VisemeError.self) { try FrameIndex(entries + entries, label: "x") }
        #expect(throws: VisemeError.self) { try FrameIndex(Array(entries.dropFirst()), label: "x") }
    }

    @Test("The cache never holds more than fits")
    func cache() {
        var cache = FrameCache(memory: 1000, frameBytes: 300)
        for number in 0..<10 {
            #expect(cache.request(number) == nil)
            cache.insert(Image(width: 1, height: 1), at: number)
            #expect(cache.count <= 3)
        }
        #expect(cache.request(8) != nil)
        #expect(cache.isBackward)
        #expect(cache.request(7) != nil)
        #expect(cache.request(6) == nil)
        #expect(FrameCache(memory: 0, frameBytes: 300).capacity == 1)
    }

    @Test(
        "A video that is not 25 frames a second, turned, or not of square pixels is refused with the command that converts it",
        .enabled(if: Tool.ffmpeg != nil, "ffmpeg is not installed"),
        arguments: [
            (["-r", "30"], "30.00 frames"), (["-r", "30000/1001"], "frames per second"),
            (["-r", "50"], "frames per second"),
            (["-vf", "setsar=2/1"], "pixels of 2:1"),
            (["-vf", "setpts='if(gt(N,10),PTS+0.5/TB,PTS)'", "-vsync", "vfr"], "uneven"),
        ])
    func otherVideos(_ options: [String], _ says: String) async throws {
        let url = scratch.file("v.mp4")
        _ = try Tool.run(
            Tool.ffmpeg,
            ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2"] + options + [
                "-c:v", "libx264", url.path,
            ])
        let error = await #expect(throws: VisemeError.self) { _ = try await backend.template(at: url, memory: 0) }
        #expect(
            error?.message.contains(says) == true && error?.hint?.contains("ffmpeg -i") == true,
            "\(String(describing: error))")
    }

    @Test("A turned video is refused", .enabled(if: Tool.ffmpeg != nil, "ffmpeg is not installed"))
    func turned() async throws {
        let (plain, url) = (scratch.file("p.mp4"), scratch.file("v.mp4"))
        try await Pictures.write(10, to: plain)
        _ = try Tool.run(
            Tool.ffmpeg, ["-v", "error", "-y", "-i", plain.path, "-c", "copy", "-metadata:s:v", "rotate=90", url.path])
        let error = await #expect(throws: VisemeError.self) { _ = try await backend.template(at: url, memory: 0) }
        #expect(error?.message.contains("rotated by") == true, "\(String(describing: error))")
    }

    @Test(
        "A truncated image, an empty one and one of another size are errors, not green pictures",
        .enabled(if: Tool.ffmpeg != nil))
    func damagedImages() async throws {
        let folder = scratch.file("frames")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        _ = try Tool.run(
            Tool.ffmpeg,
            [
                "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=0.16", "-start_number", "0",
                folder.path + "/%06d.jpg",
            ])
        let whole = try await backend.template(at: folder, memory: 0)
        for index in 0..<4 { _ = try await whole.frame(at: index).image() }
        let data = try Data(contentsOf: folder.appendingPathComponent("000001.jpg"))
        try data.prefix(data.count / 2).write(to: folder.appendingPathComponent("000001.jpg"))
        try Data().write(to: folder.appendingPathComponent("000002.jpg"))
        _ = try Tool.run(
            Tool.ffmpeg,
            [
                "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=160x240:r=25:d=0.04", "-frames:v", "1",
                folder.path + "/000003.jpg",
            ])
        let damaged = try await backend.template(at: folder, memory: 0)
        _ = try await damaged.frame(at: 0)
        for index in 1..<4 {
            await #expect(throws: VisemeError.self, "image \(index)") { _ = try await damaged.frame(at: index) }
        }
    }

    @Test("The same pictures give the same bytes at any size", arguments: [(1080, 1920), (640, 360), (320, 240)])
    func sameBytes(_ width: Int, _ height: Int) async throws {
        var seen: Set<Data> = []
        for run in 0..<4 {
            let url = scratch.file("\(run).mp4")
            _ = try await Pictures.write(12, to: url, width: width, height: height)
            seen.insert(try Data(contentsOf: url))
        }
        #expect(seen.count == 1)
    }
}
