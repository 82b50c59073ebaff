import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg

@Suite("Speech")
struct SpeechTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test("Mono PCM16 at 16 kHz is read exactly, divided by 32768", arguments: [1, 800, 2999, 3000, 16_000, 40_001])
    func exact(count: Int) async throws {
        var numbers = SeededRandom(count)
        let values = (0..<count).map { _ in Int.random(in: -32_768...32_767, using: &numbers) }
        let wave = Wave(channels: [values.map { Double($0) / 32_768 }])
        let samples = try await speech(at: scratch.write(wave.bytes, "a.wav"))
        #expect(samples == values.map { Float($0) / 32_768 })
    }

    @Test("No chunk is longer than a second, none is empty")
    func chunks() async throws {
        let wave = Wave(rate: 8000, depth: .f32, channels: [Wave.sine(60_000, rate: 8000)])
        let reader = try await FFmpeg().speech(at: scratch.write(wave.bytes, "a.wav"))
        var total = 0
        while let chunk = try await reader.read() {
            #expect((1...16_000).contains(chunk.count))
            total += chunk.count
        }
        #expect(abs(total - 120_000) <= 1)
        #expect(try await reader.read() == nil)
        #expect(await reader.warnings == [])
    }

    @Test("Every depth is read", arguments: Wave.Depth.allCases)
    func depths(depth: Wave.Depth) async throws {
        let sine = Wave.sine(5000, rate: 16_000)
        let samples = try await speech(at: scratch.write(Wave(depth: depth, channels: [sine]).bytes, "a.wav"))
        try #require(samples.count == sine.count)
        let worst = zip(samples, sine).map { abs(Double($0) - $1) }.max() ?? 1
        #expect(worst <= depth.step)
    }

    @Test("All channels are averaged with equal weight", arguments: 1...8)
    func channels(count: Int) async throws {
        // A level of its own for every channel, the LFE of 5.1 too.
        let levels = (0..<count).map { 0.9 - 0.2 * Double($0) }
        let wave = Wave(depth: .f32, channels: levels.map { [Double](repeating: $0, count: 4000) })
        let samples = try await speech(at: scratch.write(wave.bytes, "a.wav"))
        let mean = levels.reduce(0, +) / Double(count)
        try #require(samples.count == 4000)
        #expect(samples.allSatisfy { abs(Double($0) - mean) < 1e-6 })
    }

    @Test(
        "Every rate becomes 16 kHz with the right number of samples and the right sound",
        arguments: [
            8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000,
        ])
    func rates(rate: Int) async throws {
        for count in [rate, rate / 3 + 7] {
            let wave = Wave(rate: rate, depth: .f32, channels: [Wave.sine(count, rate: rate)])
            let samples = try await speech(at: scratch.write(wave.bytes, "a.wav"))
            let expected = Int((Double(count) * 16_000 / Double(rate)).rounded())
            #expect(abs(samples.count - expected) <= 1)
            // Away from the ends, where the filter sees the silence outside.
            let truth = Wave.sine(samples.count, rate: 16_000)
            let inner = 400..<(samples.count - 400)
            let worst = inner.map { abs(Double(samples[$0]) - truth[$0]) }.max() ?? 1
            #expect(worst < 1e-4, "\(rate) Hz")
        }
    }

    @Test("A tone above 8 kHz does not come back as another one")
    func aliasing() async throws {
        let wave = Wave(rate: 48_000, depth: .f32, channels: [Wave.sine(48_000, rate: 48_000, frequency: 10_000)])
        let samples = try await speech(at: scratch.write(wave.bytes, "a.wav"))
        let worst = samples[400..<15_600].map(abs).max() ?? 1
        #expect(worst < 1e-4)
    }

    @Test("A LIST chunk before the data is not sound", arguments: [4, 26, 27, 1001])
    func listChunk(bytes: Int) async throws {
        let sine = Wave.sine(3000, rate: 16_000)
        let with = try await speech(at: scratch.write(Wave(channels: [sine], listBytes: bytes).bytes, "a.wav"))
        let without = try await speech(at: scratch.write(Wave(channels: [sine]).bytes, "b.wav"))
        #expect(with == without)
    }

    @Test("A truncated file gives what is there and says so")
    func truncated() async throws {
        let sine = Wave.sine(16_000, rate: 16_000)
        let url = try scratch.write(Wave(channels: [sine], missingBytes: 64_000).bytes, "a.wav")
        let reader = try await FFmpeg().speech(at: url)
        var total = 0
        while let chunk = try await reader.read() { total += chunk.count }
        #expect(total == 16_000)
        let warnings = await reader.warnings
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains("truncated") == true)
    }

    @Test(
        "Of several WAV files in one the first is used, and the rest is not passed over in silence",
        arguments: [false, true])
    func glued(withList: Bool) async throws {
        let wave = Wave(channels: [Wave.sine(16_000, rate: 16_000)], listBytes: withList ? 27 : nil).bytes
        let reader = try await FFmpeg().speech(at: scratch.write(wave + wave, "a.wav"))
        var total = 0
        while let chunk = try await reader.read() { total += chunk.count }
        #expect(total == 16_000)
        #expect(await reader.warnings.contains { $0.contains("several WAV files") })
    }

    @Test("A name that is not UTF-8 is said to be that")
    func damagedName() async throws {
        let error = await #expect(throws: VisemeError.self) {
            _ = try await FFmpeg().speech(at: scratch.file("a\u{FFFD}.wav"))
        }
        #expect(error?.code == .noInput && error?.hint?.contains("UTF-8") == true)
    }

    @Test("A video is a source of sound")
    func videoSound() async throws {
        let wave = Wave(rate: 48_000, channels: [Wave.sine(48_000, rate: 48_000)])
        let sound = try scratch.write(wave.bytes, "a.wav")
        try await Pictures.write(25, to: scratch.file("v.mp4"), sound: sound)
        let samples = try await speech(at: scratch.file("v.mp4"))
        #expect(abs(samples.count - 16_000) <= 1)
        // AAC is lossy, but its priming must be gone: no delay.
        let truth = Wave.sine(16_000, rate: 16_000)
        let inner = 1000..<15_000
        let error = inner.map { pow(Double(samples[$0]) - truth[$0], 2) }.reduce(0, +) / Double(inner.count)
        #expect(error.squareRoot() < 0.01)
    }

    @Test("A pipe is copied to a file, and an empty one is an error")
    func spool() async throws {
        let bytes = Wave(channels: [Wave.sine(3000, rate: 16_000)]).bytes
        let pipe = Pipe()
        let feeder = Task.detached {
            try pipe.fileHandleForWriting.write(contentsOf: Data(bytes))
            try pipe.fileHandleForWriting.close()
        }
        let url = try await FFmpeg().spool(pipe.fileHandleForReading)
        defer { try? FileManager.default.removeItem(at: url) }
        try await feeder.value
        #expect(try await speech(at: url).count == 3000)
        let empty = try scratch.write([], "empty")
        let handle = try FileHandle(forReadingFrom: empty)
        #expect(await failure { _ = try await FFmpeg().spool(handle) }?.code == .noInput)
    }

    @Test("A missing file, a folder, an address: no input")
    func missing() async throws {
        let backend = FFmpeg()
        let error = await failure { _ = try await backend.speech(at: scratch.file("none.wav")) }
        #expect(error?.code == .noInput)
        #expect(error?.message.contains("none.wav") == true)
        #expect(await failure { _ = try await backend.speech(at: scratch.url) }?.code == .noInput)
        let web = try #require(URL(string: "http://127.0.0.1:9/a.wav"))
        #expect(await failure { _ = try await backend.speech(at: web) }?.code == .unsupported)
    }

    @Test("Without a sample, without sound, or without sense: bad data that names the file")
    func badData() async throws {
        let backend = FFmpeg()
        try await Pictures.write(3, to: scratch.file("mute.mp4"))
        let files = [
            try scratch.write([], "empty.wav"),
            try scratch.write(Array("This is not a sound.".utf8), "text.wav"),
            try scratch.write(Wave(channels: [[]]).bytes, "zero.wav"),
            try scratch.write(Array(Wave(channels: [[0]]).bytes.prefix(20)), "header.wav"),
            scratch.file("mute.mp4"),
        ]
        for file in files {
            let error = await failure { _ = try await backend.speech(at: file) }
            #expect(error?.code == .badData, "\(file.lastPathComponent): \(String(describing: error))")
            #expect(error?.message.contains(file.lastPathComponent) == true)
        }
        let mute = await failure { _ = try await backend.speech(at: scratch.file("mute.mp4")) }
        #expect(mute?.message.contains("video h264") == true)
    }

    @Test("A playlist does not make us open other files")
    func playlist() async throws {
        let sound = try scratch.write(Wave(channels: [Wave.sine(3000, rate: 16_000)]).bytes, "a.wav")
        let lists = [
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n\(sound.path)\n#EXT-X-ENDLIST\n",
            "ffconcat version 1.0\nfile a.wav\n",
        ]
        for (number, list) in lists.enumerated() {
            let url = try scratch.write(Array(list.utf8), "list\(number).m3u8")
            #expect(await failure { _ = try await FFmpeg().speech(at: url) } != nil)
        }
    }
}
