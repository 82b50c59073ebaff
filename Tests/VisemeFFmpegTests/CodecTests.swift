import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg

/// Codecs that only the ffmpeg program can make here.
@Suite("Sound in other codecs", .enabled(if: Tool.ffmpeg != nil, "needs the ffmpeg program"))
struct CodecTests {
    let scratch: Scratch
    let backend = FFmpeg()

    init() throws { scratch = try Scratch() }

    /// A file in a codec and a container, how it is carried into MP4, MOV and MKV, by how much it may be longer because
    /// its format does not tell the padding, and by how much it starts later because it does not tell the priming.
    struct Case: Sendable, CustomTestStringConvertible {
        var file: String
        var options: [String]
        var rate = 44_100
        var mp4: String
        var mov: String
        var mkv: String
        var extra = 0.0
        var lead = 0.0
        /// Before FFmpeg 7 nothing tells the priming in this one.
        var tolerance = 0.002
        var testDescription: String { "\(file) \(options.last ?? "")" }
    }

    static let cases: [Case] = [
        Case(
            file: "a.mp3", options: ["-c:a", "libmp3lame"], mp4: "copied mp3", mov: "copied mp3", mkv: "copied mp3",
            extra: 0.03),
        Case(
            file: "b.mp3", options: ["-c:a", "libmp3lame"], rate: 8000, mp4: "", mov: "", mkv: "copied mp3", extra: 0.08
        ),
        Case(
            file: "a.aac", options: ["-c:a", "aac"], mp4: "copied aac", mov: "copied aac", mkv: "copied aac",
            extra: 0.05, lead: 0.0233),
        Case(file: "a.m4a", options: ["-c:a", "aac"], mp4: "copied aac", mov: "copied aac", mkv: "copied aac"),
        Case(
            file: "a.mkv", options: ["-c:a", "aac"], mp4: "copied aac", mov: "copied aac", mkv: "copied aac",
            extra: 0.03, tolerance: 0.0245),
        Case(file: "a.flac", options: ["-c:a", "flac"], mp4: "copied flac", mov: "encoded aac", mkv: "copied flac"),
        Case(
            file: "a.opus", options: ["-c:a", "libopus"], rate: 48_000, mp4: "copied opus", mov: "encoded aac",
            mkv: "copied opus"),
        Case(
            file: "a.ogg", options: ["-c:a", "libvorbis"], mp4: "encoded aac", mov: "encoded aac", mkv: "copied vorbis"),
        Case(
            file: "a.ac3", options: ["-c:a", "ac3"], mp4: "copied ac3", mov: "copied ac3", mkv: "copied ac3",
            extra: 0.04, lead: 0.0058),
        Case(file: "b.m4a", options: ["-c:a", "alac"], mp4: "copied alac", mov: "copied alac", mkv: "copied alac"),
        Case(
            file: "a.wav", options: ["-c:a", "pcm_mulaw"], mp4: "encoded aac", mov: "copied pcm_mulaw",
            mkv: "copied pcm_mulaw"),
        Case(
            file: "a.aiff", options: ["-c:a", "pcm_s24be"], mp4: "encoded aac", mov: "copied pcm_s24be",
            mkv: "copied pcm_s24be"),
        Case(
            file: "a.webm", options: ["-c:a", "libopus"], rate: 48_000, mp4: "copied opus", mov: "encoded aac",
            mkv: "copied opus"),
    ]

    /// A click at 0.5 s in a file of a codec.
    private func make(_ one: Case, seconds: Double) throws -> URL {
        var click = Wave.sine(Int(seconds * Double(one.rate)), rate: one.rate, amplitude: 0.02)
        let start = one.rate / 2
        for index in start..<(start + one.rate / 20) {
            click[index] = 0.8 * sin(2 * .pi * 1000 * Double(index - start) / Double(one.rate))
        }
        let wave = try scratch.write(Wave(rate: one.rate, channels: [click, click]).bytes, "in.wav")
        let url = scratch.file(one.file)
        _ = try Tool.run(Tool.ffmpeg, ["-v", "error", "-y", "-i", wave.path] + one.options + [url.path])
        return url
    }

    /// When the click comes, in seconds.
    private func onset(_ samples: [Float]) -> Double {
        Double(samples.firstIndex { abs($0) > 0.3 } ?? -16_000) / 16_000
    }

    @Test("Speech time is the first sample, and the copied sound keeps it", arguments: cases)
    func carried(one: Case) async throws {
        let seconds = 1.3
        let url = try make(one, seconds: seconds)
        let samples = try await speech(at: url)
        let real = Double(samples.count) / 16_000
        #expect(abs(onset(samples) - 0.5 - one.lead) < one.tolerance)
        #expect(real > seconds - 0.0005 && real < seconds + one.extra + 0.0005, "\(real)")
        for (kind, expected) in [("mp4", one.mp4), ("mov", one.mov), ("mkv", one.mkv)] {
            let output = scratch.file("out.\(kind)")
            let frames = Int((real * 25).rounded(.up))
            let report = try await Pictures.write(
                frames, to: output, sound: url, width: 32, height: 32, overwrite: true)
            #expect(report.sound.hasPrefix(expected))
            #expect(abs(report.audioSeconds - real) < 0.002, "\(kind)")
            let summary = try await backend.probe(output)
            let (video, audio) = (try #require(summary.video), try #require(summary.audio))
            #expect(video.packets == frames)
            #expect(abs(video.startSeconds) < 0.001)
            #expect(audio.rate == one.rate)
            let again = try await speech(at: output)
            #expect(abs(video.endSeconds - Double(again.count) / 16_000) < 0.042, "\(kind)")
            #expect(abs(onset(again) - 0.5 - one.lead) < max(0.008, one.tolerance), "\(kind): \(onset(again))")
        }
    }

    @Test("Sound that starts late in a video starts at 0 for us, in both")
    func lateSound() async throws {
        let one = Case(file: "a.wav", options: ["-c:a", "pcm_s16le"], mp4: "", mov: "", mkv: "")
        let sound = try make(one, seconds: 1)
        try await Pictures.write(50, to: scratch.file("v.mov"))
        let late = scratch.file("late.mov")
        _ = try Tool.run(
            Tool.ffmpeg,
            ["-v", "error", "-i", scratch.file("v.mov").path, "-itsoffset", "0.7", "-i", sound.path]
                + ["-map", "0:v", "-map", "1:a", "-c", "copy", late.path])
        let samples = try await speech(at: late)
        #expect(abs(onset(samples) - 0.5) < 0.002)
        try await Pictures.write(25, to: scratch.file("out.mov"), sound: late)
        let summary = try await backend.probe(scratch.file("out.mov"))
        #expect(abs((summary.audio?.endSeconds ?? 0) - 1) < 0.002)
        #expect(try await abs(onset(speech(at: scratch.file("out.mov"))) - 0.5) < 0.002)
    }

    @Test("Damage in the middle is survived, and counted")
    func damage() async throws {
        let one = Case(file: "a.mp3", options: ["-c:a", "libmp3lame"], mp4: "", mov: "", mkv: "")
        let url = try make(one, seconds: 5)
        var bytes = try [UInt8](Data(contentsOf: url))
        var numbers = SeededRandom(11)
        for index in bytes.count / 2..<bytes.count / 2 + 3000 {
            bytes[index] = UInt8.random(in: 0...255, using: &numbers)
        }
        let reader = try await backend.speech(at: scratch.write(bytes, "damaged.mp3"))
        var total = 0
        while let chunk = try await reader.read() { total += chunk.count }
        #expect(total > 60_000)
        #expect(await reader.warnings.first?.contains("damaged packets") == true)
    }

    @Test(
        "Template frames are those of the ffmpeg program",
        arguments: ["bt709", "bt709 full", "bt470bg", "untagged", "open groups", "4:4:4"])
    func pixels(kind: String) async throws {
        let source = scratch.file("in.mp4")
        let colours = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
        let options: [String] =
            switch kind {
            case "bt709": colours + ["-color_range", "tv", "-pix_fmt", "yuv420p"]
            case "bt709 full": colours + ["-color_range", "pc", "-pix_fmt", "yuv420p"]
            case "bt470bg": ["-colorspace", "bt470bg", "-color_range", "tv", "-pix_fmt", "yuv420p"]
            case "open groups": ["-pix_fmt", "yuv420p", "-x264-params", "open-gop=1:keyint=12:bframes=3:b-adapt=0"]
            case "4:4:4": ["-pix_fmt", "yuv444p"]
            default: ["-pix_fmt", "yuv420p"]
            }
        _ = try Tool.run(
            Tool.ffmpeg,
            ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=192x108:r=25:d=2", "-c:v", "libx264"] + options + [
                source.path
            ])
        let flags = "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
        let raw = try Tool.run(
            Tool.ffmpeg,
            ["-v", "error", "-i", source.path, "-sws_flags", flags, "-pix_fmt", "bgr24", "-f", "rawvideo", "-"])
        let template = try await backend.template(at: source, memory: 10 * 192 * 108 * 3)
        let size = 192 * 108 * 3
        #expect((template.frameCount, raw.count) == (50, 50 * size))
        for number in [49, 48, 47, 30, 29, 28, 11, 12, 13, 0, 1, 25] {
            let image = try await template.frame(at: number).image()
            #expect(image.bytes == [UInt8](raw[number * size..<(number + 1) * size]), "frame \(number)")
        }
    }

    @Test("ffprobe reads the statement that a model made the video", .enabled(if: Tool.ffprobe != nil))
    func probed() async throws {
        for kind in ["mp4", "mov", "mkv"] {
            try await Pictures.write(1, to: scratch.file("v.\(kind)"))
            let tags = try Tool.run(
                Tool.ffprobe, ["-v", "error", "-show_entries", "format_tags", scratch.file("v.\(kind)").path])
            #expect(String(decoding: tags, as: UTF8.self).contains("trainedAlgorithmicMedia"))
        }
    }
}
