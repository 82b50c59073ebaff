import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg

extension CommandLineTests {
    @Suite("Render")
    struct RenderTests {
        /// One frame: what audio and video may differ by.
        static let frame = 0.04

        static let waves: [WaveFile] =
            [1, 640, 641, 800, 2999, 3000].map { WaveFile(frames: $0) }
            + [WaveFile.Depth.u8, .s16, .s24, .s32, .f32].map {
                WaveFile(rate: 44100, depth: $0, channels: 2, frames: 27000)
            }
            + [8000, 11025, 22050, 32000, 48000, 96000, 192_000].map { WaveFile(rate: $0, frames: $0 * 61 / 100) }
            + (3...8).map { WaveFile(rate: 48000, channels: $0, frames: 29300) }
            + [
                WaveFile(frames: 9999, hasList: true),
                WaveFile(rate: 44100, depth: .s24, channels: 2, frames: 5000, hasList: true),
            ]

        @Test("Any sound gives ceil(25 · seconds) frames and audio and video of one length", arguments: waves)
        func durations(wave: WaveFile) async throws {
            try await withTemporaryFolder { folder in
                try wave.data.write(to: folder.appending(path: "speech.wav"))
                let report = try await render("speech.wav", to: "video.mp4", in: folder)
                #expect(report.frames == Int((wave.seconds * 25).rounded(.up)))
                #expect(abs(report.videoSeconds - wave.seconds) < Self.frame + 1e-9)
                #expect(abs(report.audioSeconds - wave.seconds) < Self.frame + 1e-9)
                let summary = try await FFmpeg().probe(folder.appending(path: "video.mp4"))
                #expect(summary.video?.width == 160 && summary.video?.height == 120)
                let (video, audio) = (try #require(summary.video?.seconds), try #require(summary.audio?.seconds))
                #expect(abs(video - wave.seconds) < Self.frame + 1e-3)
                #expect(abs(audio - wave.seconds) < Self.frame + 1e-3)
                #expect(try names(in: folder) == ["speech.wav", "video.mp4"])
            }
        }

        @Test("Containers carry the original sound: 44.1 kHz stereo stays that", arguments: ["mp4", "mov", "mkv"])
        func originalSound(container: String) async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(rate: 44100, channels: 2, frames: 44100).data.write(
                    to: folder.appending(path: "speech.wav"))
                let report = try await render("speech.wav", to: "video.\(container)", in: folder)
                #expect(report.frames == 25)
                #expect(report.sound.contains("44100") || report.sound.contains("copied"), "\(report.sound)")
                let audio = try #require(try await FFmpeg().probe(folder.appending(path: "video.\(container)")).audio)
                #expect(audio.rate == 44100)
                #expect(audio.channels == 2)
            }
        }

        @Test("A minute stays together to the frame")
        func oneMinute() async throws {
            try await withTemporaryFolder { folder in
                let wave = WaveFile(rate: 22050, frames: 22050 * 60 + 1)
                try wave.data.write(to: folder.appending(path: "speech.wav"))
                let report = try await render("speech.wav", to: "video.mkv", in: folder)
                #expect(report.frames == 1501)
                #expect(abs(report.videoSeconds - report.audioSeconds) < Self.frame + 1e-9)
            }
        }

        @Test("A folder of PNG images holds one image a frame, and a range is those images of the whole")
        func images() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(rate: 48000, frames: 48000).data.write(to: folder.appending(path: "speech.wav"))
                #expect(try await render("speech.wav", to: "whole/", in: folder).frames == 25)
                #expect(
                    try await render(
                        "speech.wav", to: "part", in: folder, options: ["--range", "7:19", "--format", "png"]
                    ).frames == 12)
                let whole = try await FFmpeg().template(at: folder.appending(path: "whole"), memory: 0)
                let part = try await FFmpeg().template(at: folder.appending(path: "part"), memory: 0)
                #expect(whole.frameCount == 25 && part.frameCount == 12)
                for k in 0..<12 {
                    let (a, b) = (try await part.frame(at: k).image(), try await whole.frame(at: k + 7).image())
                    #expect(a == b, "frame \(k + 7)")
                }
            }
        }

        @Test("A range of a video has that part of the sound")
        func rangeWithSound() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(rate: 48000, frames: 48000 * 3).data.write(to: folder.appending(path: "speech.wav"))
                let report = try await render("speech.wav", to: "part.mp4", in: folder, options: ["--range", "25:60"])
                #expect(report.frames == 35)
                #expect(abs(report.videoSeconds - 1.4) < 1e-6)
                #expect(abs(report.audioSeconds - 1.4) < Self.frame)
            }
        }

        @Test("The same command gives the same bytes, on one core and on two")
        func deterministic() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                for (name, threads) in [("a", "1"), ("b", "2"), ("c", "2")] {
                    _ = try await render("speech.wav", to: "\(name).mp4", in: folder, options: ["--threads", threads])
                }
                let files = try ["a", "b", "c"].map { try Data(contentsOf: folder.appending(path: "\($0).mp4")) }
                #expect(files[0] == files[1] && files[1] == files[2])
            }
        }

        @Test("A video is a source of sound, and so is a pipe")
        func otherSources() async throws {
            try await withTemporaryFolder { folder in
                let wave = WaveFile(rate: 48000, frames: 48000)
                try wave.data.write(to: folder.appending(path: "speech.wav"))
                _ = try await render("speech.wav", to: "talking.mkv", in: folder)
                #expect(try await render("talking.mkv", to: "again.mp4", in: folder).frames == 25)

                let outcome = try await Program.run(
                    ["render", "--avatar", TinyPack.original.path, "--audio", "-", "-o", "piped.mp4", "--json"],
                    in: folder, input: wave.data)
                #expect(try Report(outcome).frames == 25)
                let empty = try await Program.run(
                    ["render", "--avatar", TinyPack.original.path, "--audio", "-", "-o", "empty.mp4"], in: folder,
                    input: Data())
                #expect(empty.status == 66, "nothing came: there is no input")
                #expect(try names(in: folder) == ["again.mp4", "piped.mp4", "speech.wav", "talking.mkv"])
            }
        }

        @Test("A truncated file gives what it holds, with a note")
        func truncated() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 32000, missing: 32000).data.write(to: folder.appending(path: "speech.wav"))
                let report = try await render("speech.wav", to: "video.mp4", in: folder)
                #expect(report.frames == 25)
                #expect(report.warnings.contains { $0.contains("truncated") }, "\(report.warnings)")
            }
        }

        @Test("--json says what was written, what ran, and how long each stage took")
        func json() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                let report = try await render("speech.wav", to: "video.mp4", in: folder)
                #expect(report.output == "video.mp4" && report.avatar == "tiny" && report.backend == "onnx")
                #expect(
                    report.fps > 0 && report.elapsedSeconds > 0 && abs(report.realTimeFactor - report.fps / 25) < 1e-6)
                #expect(
                    Set(report.stagesMilliseconds.keys).isSuperset(of: [
                        "template", "crop", "prepare", "generate", "paste", "write",
                    ]))
                #expect(report.stagesMilliseconds.values.allSatisfy { $0.p50 >= 0 && $0.p95 >= $0.p50 })
                #expect(report.peakMemoryBytes > 10_000_000)
                let models = try Avatar(contentsOf: TinyPack.original).manifest.models
                #expect(report.models.map(\.sha256) == models.map(\.sha256))
                #expect(
                    report.models.allSatisfy {
                        $0.runtime.runtime == "ONNX Runtime" && $0.runtime.provider == "CPU"
                            && !$0.runtime.version.isEmpty
                    })
            }
        }

        @Test("An avatar is found by its name in avatars/ and in VISEME_AVATARS")
        func named() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 1600).data.write(to: folder.appending(path: "speech.wav"))
                try FileManager.default.createDirectory(
                    at: folder.appending(path: "avatars"), withIntermediateDirectories: true)
                _ = try TinyPack(in: folder.appending(path: "avatars"), name: "ada.avatar")
                for (name, variables) in [
                    ("ada", [:]), ("tiny", ["VISEME_AVATARS": "/nowhere:\(TinyPack.golden.path)"]),
                ] {
                    let outcome = try await Program.run(
                        ["render", "--avatar", name, "--audio", "speech.wav", "-o", "\(name).mp4"], in: folder,
                        environment: variables)
                    #expect(outcome.status == 0, "\(outcome.errors)")
                    #expect(outcome.output == "\(name).mp4\n")
                }
            }
        }

        @Test("Memory does not grow with the length: four times the audio, the same peak")
        func flatMemory() async throws {
            try await withTemporaryFolder { folder in
                var peaks: [Int] = []
                for seconds in [20, 80] {
                    try WaveFile(frames: 16000 * seconds).data.write(to: folder.appending(path: "speech.wav"))
                    peaks.append(try await render("speech.wav", to: "\(seconds).mp4", in: folder).peakMemoryBytes)
                }
                #expect(Double(peaks[1]) < Double(peaks[0]) * 1.05, "\(peaks)")
            }
        }

        private func render(_ audio: String, to output: String, in folder: URL, options: [String] = []) async throws
            -> Report
        {
            try Report(
                await Program.run(
                    ["render", "--avatar", TinyPack.original.path, "--audio", audio, "-o", output, "--json"] + options,
                    in: folder))
        }
    }
}
