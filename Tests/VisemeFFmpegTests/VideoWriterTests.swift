import Foundation
import Testing
import Viseme
import VisemeFFmpeg

@Suite("Video files")
struct VideoWriterTests {
    let scratch: Scratch
    let backend = FFmpeg(software: "Viseme test")

    init() throws { scratch = try Scratch() }

    /// A WAV file with a tone.
    private func tone(_ seconds: Double, rate: Int = 16_000, channels: Int = 1, depth: Wave.Depth = .s16) throws -> URL
    {
        let sine = Wave.sine(Int((seconds * Double(rate)).rounded()), rate: rate)
        let wave = Wave(rate: rate, depth: depth, channels: [[Double]](repeating: sine, count: channels))
        return try scratch.write(wave.bytes, "tone.wav")
    }

    @Test("Every container holds the frames, in BT.709 with the limited range", arguments: ["mp4", "mov", "mkv"])
    func containers(kind: String) async throws {
        let url = scratch.file("v.\(kind)")
        let report = try await Pictures.write(30, to: url, sound: tone(1.2))
        let summary = try await backend.probe(url)
        let video = try #require(summary.video)
        #expect((video.codec, video.format, video.colour) == ("h264", "yuv420p", "bt709 bt709 bt709 tv"))
        #expect((video.width, video.height, video.packets, video.fps) == (64, 48, 30, 25))
        #expect(abs(video.seconds - 1.2) < 0.002)
        #expect(abs(video.startSeconds - (summary.audio?.startSeconds ?? 9)) < 0.03)
        #expect((report.frames, report.videoSeconds) == (30, 1.2))
        #expect(abs(report.audioSeconds - 1.2) < 1e-9)
        #expect(report.sound == (kind == "mp4" ? "encoded aac 16000 Hz 1 channels" : "copied pcm_s16le"))
        #expect(try scratch.names() == ["tone.wav", "v.\(kind)"])
    }

    @Test(
        "Sound and video agree within one frame",
        arguments: [0.001, 0.0399, 0.04, 0.0401, 0.5, 1, 2.345, 11], ["mp4", "mov", "mkv"])
    func durations(seconds: Double, kind: String) async throws {
        let url = scratch.file("v.\(kind)")
        let sound = try tone(seconds, rate: 44_100, channels: 2)
        let frames = max(1, Int((seconds * 25).rounded(.up)))
        let report = try await Pictures.write(frames, to: url, sound: sound, width: 16, height: 16)
        let summary = try await backend.probe(url)
        let video = try #require(summary.video)
        let audio = try #require(summary.audio)
        #expect(abs(report.audioSeconds - seconds) < 0.001)
        #expect(abs(audio.endSeconds - max(0, video.startSeconds) - seconds) < 0.003)
        #expect(abs(video.endSeconds - audio.endSeconds) <= (kind == "mkv" ? 0.042 : 0.0405))
        #expect((audio.rate, audio.channels) == (44_100, 2))
    }

    @Test(
        "Sound that MP4 does not take is encoded at its own rate and channels",
        arguments: [8000, 22_050, 48_000, 96_000])
    func encodedRates(rate: Int) async throws {
        for channels in [1, 2, 6, 8] {
            let url = scratch.file("v\(channels).mp4")
            let report = try await Pictures.write(5, to: url, sound: tone(0.2, rate: rate, channels: channels))
            let audio = try #require(try await backend.probe(url).audio)
            #expect((audio.codec, audio.rate, audio.channels) == ("aac", rate, channels))
            #expect(report.notes == [])
        }
    }

    @Test("A rate that AAC does not know becomes the nearest one, and the report says so")
    func nearestRate() async throws {
        let url = scratch.file("v.mp4")
        let report = try await Pictures.write(25, to: url, sound: tone(1, rate: 192_000))
        let audio = try #require(try await backend.probe(url).audio)
        #expect(audio.rate == 96_000)
        #expect(abs(audio.endSeconds - 1) < 0.001)
        #expect(report.notes.count == 1)
        #expect(report.notes.first?.contains("96000") == true)
    }

    @Test("A part of the sound is cut exactly to the sample", arguments: ["mp4", "mov", "mkv"])
    func range(kind: String) async throws {
        let count = 48_000
        let ramp = (0..<count).map { Double($0) / Double(count) * 0.8 - 0.4 }
        let sound = try scratch.write(Wave(rate: 48_000, depth: .f32, channels: [ramp]).bytes, "ramp.wav")
        let url = scratch.file("v.\(kind)")
        let report = try await Pictures.write(10, to: url, sound: sound, range: 0.4..<0.8)
        #expect(report.sound.hasPrefix("encoded aac"))
        #expect(abs(report.audioSeconds - 0.4) < 1e-9)
        let samples = try await speech(at: url)
        #expect(abs(samples.count - 6400) <= (kind == "mkv" ? 20 : 1))
        #expect(abs(Double(samples[3200]) - (0.6 * 0.8 - 0.4)) < 0.02)
    }

    @Test("The container says that a model made the video, unless told not to", arguments: ["mp4", "mov", "mkv"])
    func metadata(kind: String) async throws {
        let url = scratch.file("v.\(kind)")
        try await Pictures.write(2, to: url)
        var entries = try await backend.probe(url).metadata
        var lower = Dictionary(uniqueKeysWithValues: entries.map { ($0.key.lowercased(), $0.value) })
        #expect(
            lower["digitalsourcetype"]
                == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia")
        #expect(lower["comment"]?.contains("AI-generated") == true)
        #expect(lower["software"] == "Viseme test")
        try await Pictures.write(2, to: url, overwrite: true, declaresSynthetic: false)
        entries = try await backend.probe(url).metadata
        lower = Dictionary(uniqueKeysWithValues: entries.map { ($0.key.lowercased(), $0.value) })
        #expect(lower["digitalsourcetype"] == nil)
        #expect(lower["comment"] == nil)
    }

    @Test("MP4 starts with its index, and the same frames give the same bytes", arguments: ["mp4", "mov", "mkv"])
    func determinism(kind: String) async throws {
        let sound = try tone(0.4)
        try await Pictures.write(10, to: scratch.file("a.\(kind)"), sound: sound, width: 320, height: 240)
        try await Pictures.write(10, to: scratch.file("b.\(kind)"), sound: sound, width: 320, height: 240)
        let bytes = try Data(contentsOf: scratch.file("a.\(kind)"))
        #expect(try bytes == Data(contentsOf: scratch.file("b.\(kind)")))
        if kind != "mkv" {
            let index = try #require(bytes.range(of: Data("moov".utf8)))
            let data = try #require(bytes.range(of: Data("mdat".utf8)))
            #expect(index.lowerBound < data.lowerBound)
        }
    }

    @Test("Frames come back nearly as they went in")
    func quality() async throws {
        let url = scratch.file("v.mp4")
        try await Pictures.write(12, to: url, crf: 4)
        let template = try await backend.template(at: url, memory: 1 << 20)
        for number in 0..<12 {
            let image = try await template.frame(at: number).image()
            #expect(Pictures.difference(image, Pictures.frame(number)) < 3)
        }
    }

    @Test("Odd sides repeat their last column and row")
    func oddSides() async throws {
        let url = scratch.file("v.mp4")
        let report = try await Pictures.write(2, to: url, width: 63, height: 47)
        let video = try #require(try await backend.probe(url).video)
        #expect((video.width, video.height) == (64, 48))
        #expect(report.notes.count == 1)
    }

    @Test("Nothing stands under the final name before the end, and nothing at all after giving up")
    func cancel() async throws {
        let request = VideoRequest(url: scratch.file("v.mp4"), width: 64, height: 48)
        let writer = try await backend.writer(request)
        for number in 0..<50 { try await writer.append(Pictures.frame(number)) }
        #expect(try scratch.names().count == 1)
        #expect(try scratch.names().first?.hasPrefix(".v.partial-") == true)
        await writer.cancel()
        await writer.cancel()
        #expect(try scratch.names() == [])
        #expect(await failure { try await writer.append(Pictures.frame(0)) }?.code == .usage)
        #expect(await failure { _ = try await writer.finish() }?.code == .usage)
    }

    @Test("A forgotten writer removes what it wrote")
    func forgotten() async throws {
        do {
            let writer = try await backend.writer(VideoRequest(url: scratch.file("v.mkv"), width: 64, height: 48))
            try await writer.append(Pictures.frame(0))
        }
        #expect(try scratch.names() == [])
    }

    @Test("A wrong size and a video without frames are the caller's errors")
    func misuse() async throws {
        let writer = try await backend.writer(VideoRequest(url: scratch.file("v.mp4"), width: 64, height: 48))
        #expect(await failure { try await writer.append(Image(width: 48, height: 64)) }?.code == .usage)
        let empty = try await backend.writer(VideoRequest(url: scratch.file("w.mp4"), width: 64, height: 48))
        #expect(await failure { _ = try await empty.finish() }?.code == .usage)
        #expect(try scratch.names() == [])
    }

    @Test("An output that exists is kept, unless it may be replaced")
    func overwrite() async throws {
        let url = try scratch.write([1, 2, 3], "v.mp4")
        let error = await failure { try await Pictures.write(1, to: url) }
        #expect(error?.code == .cannotCreate)
        #expect(error?.hint?.contains("--force") == true)
        #expect(try Data(contentsOf: url) == Data([1, 2, 3]))
        try await Pictures.write(1, to: url, overwrite: true)
        #expect(try await backend.probe(url).video?.packets == 1)
    }

    @Test("An output that appears meanwhile is kept too")
    func race() async throws {
        let url = scratch.file("v.mp4")
        let writer = try await backend.writer(VideoRequest(url: url, width: 64, height: 48))
        try await writer.append(Pictures.frame(0))
        try Data([1, 2, 3]).write(to: url)
        #expect(await failure { _ = try await writer.finish() }?.code == .cannotCreate)
        #expect(try Data(contentsOf: url) == Data([1, 2, 3]))
        #expect(try scratch.names() == ["v.mp4"])
    }

    @Test("A folder in the way, a missing folder and an unknown extension are errors")
    func badTargets() async throws {
        try FileManager.default.createDirectory(at: scratch.file("d.mp4"), withIntermediateDirectories: false)
        #expect(
            await failure { try await Pictures.write(1, to: scratch.file("d.mp4"), overwrite: true) }?.code
                == .cannotCreate)
        #expect(await failure { try await Pictures.write(1, to: scratch.file("no/v.mp4")) }?.code == .cannotCreate)
        #expect(await failure { try await Pictures.write(1, to: scratch.file("v.webm")) }?.code == .unsupported)
        #expect(await failure { try await Pictures.write(1, to: scratch.file("v.mp4"), crf: 99) }?.code == .usage)
        let mute = scratch.file("mute.mp4")
        try await Pictures.write(1, to: mute)
        #expect(await failure { try await Pictures.write(1, to: scratch.file("v.mp4"), sound: mute) }?.code == .badData)
        #expect(try scratch.names() == ["d.mp4", "mute.mp4"])
    }

    @Test("A pipe as the video's sound is refused instead of waited for")
    func pipes() async throws {
        let pipe = scratch.file("pipe.wav")
        try #require(mkfifo(pipe.path, 0o600) == 0)
        for url in [pipe, FFmpeg.standardInput] {
            let error = await failure { try await Pictures.write(1, to: scratch.file("v.mp4"), sound: url) }
            #expect(error?.code == .unsupported)
        }
        #expect(try scratch.names() == ["pipe.wav"])
    }

    @Test("A folder that is not writable is an error", .enabled(if: getuid() != 0, "root may write anywhere"))
    func notWritable() async throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: scratch.url.path)
        let error = await failure { try await Pictures.write(1, to: scratch.file("v.mp4")) }
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: scratch.url.path)
        #expect(error?.code == .cannotCreate)
    }

    @Test("A full disk is an error that says so, and nothing is left")
    func fullDisk() async throws {
        // A process of its own: the limit of its file size holds for all of it.
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 20_000, rlim_max: 20_000)
            #if canImport(Glibc)
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            #else
                setrlimit(RLIMIT_FSIZE, &limit)
            #endif
            let scratch = try Scratch()
            for kind in ["mp4", "mkv"] {
                let error = await failure { try await Pictures.write(300, to: scratch.file("v.\(kind)"), crf: 0) }
                guard error?.code == .cannotCreate, try scratch.names() == [] else { exit(1) }
            }
            exit(0)
        }
    }
}
