import Foundation
import Testing
import Viseme
import VisemeFFmpeg
import VisemeTestSupport

extension CommandLineTests {
    @Suite("Join")
    struct JoinTests {
        private static let ranges = [0..<100, 100..<170, 170..<171, 171..<250]
        /// Segments may be of any container.
        private static let files = ["a.mp4", "b.mkv", "c.mp4", "d.mov"]

        /// Renders `speech.wav` without loss, as a whole and in segments.
        private func prepare(_ folder: URL, whole: String?, options: [String] = ["--crf", "0"]) async throws {
            try WaveFile(rate: 44100, channels: 2, frames: 44100 * 10 - 300).data.write(
                to: folder.appending(path: "speech.wav"))
            if let whole { try await render(to: whole, in: folder, options: options) }
            for (range, name) in zip(Self.ranges, Self.files) {
                try await render(
                    to: name, in: folder, options: options + ["--range", "\(range.lowerBound):\(range.upperBound)"])
            }
        }

        private func render(
            _ audio: String = "speech.wav", avatar: URL = TinyPack.original, to output: String, in folder: URL,
            options: [String]
        ) async throws {
            let outcome = try await Program.run(
                ["render", "--avatar", avatar.path, "--audio", audio, "-o", output] + options, in: folder)
            try #require(outcome.status == 0, "\(outcome.errors)")
        }

        private func join(
            _ segments: [String], audio: String = "speech.wav", to output: String, in folder: URL
        ) async throws -> Program.Outcome {
            try await Program.run(["join"] + segments + ["--audio", audio, "-o", output], in: folder)
        }

        /// Frames as the decoder gives them; it refuses a rate that is not even.
        private func frames(_ url: URL) async throws -> [Image] {
            let reader = try await FFmpeg().template(at: url, memory: 1 << 20)
            var images: [Image] = []
            for index in 0..<reader.frameCount { images.append(try await reader.frame(at: index).image()) }
            return images
        }

        private func samples(_ url: URL) async throws -> [Float] {
            let reader = try await FFmpeg().speech(at: url)
            var samples: [Float] = []
            while let some = try await reader.read() { samples += some }
            return samples
        }

        @Test(
            "Joined segments are one render: each frame, each time, the original sound",
            arguments: ["mkv", "mp4", "mov"])
        func equalsOneRender(kind: String) async throws {
            try await withTemporaryFolder { folder in
                try await prepare(folder, whole: "whole.\(kind)")
                let joined = try await join(["c.mp4", "a.mp4", "d.mov", "b.mkv"], to: "joined.\(kind)", in: folder)
                try #require(joined.status == 0, "\(joined.errors)")
                let (one, other) = (folder.appending(path: "whole.\(kind)"), folder.appending(path: "joined.\(kind)"))
                let (expected, actual) = (try await frames(one), try await frames(other))
                #expect(expected.count == 250 && actual.count == 250)
                for (number, (a, b)) in zip(expected, actual).enumerated() where a != b {
                    Issue.record("frame \(number) differs")
                }
                let (wanted, found) = (try await FFmpeg().probe(one), try await FFmpeg().probe(other))
                #expect(found.streams == wanted.streams, "length, rate, colours, sound")
                #expect(found.metadata["DigitalSourceType"] == wanted.metadata["DigitalSourceType"])
                #expect(found.metadata["VisemeSegment"] == nil)
                let (before, after) = (try await samples(one), try await samples(other))
                #expect(before == after)
                if kind != "mp4" {
                    let original = try await samples(folder.appending(path: "speech.wav"))
                    #expect(original == after, "not encoded again")
                }
            }
        }

        @Test("What is not every frame of one render once is refused, and nothing is written")
        func refusals() async throws {
            try await withTemporaryFolder { folder in
                try await prepare(folder, whole: "whole.mp4", options: [])
                try await render(to: "other-crf.mp4", in: folder, options: ["--range", "171:250", "--crf", "30"])
                try await render(
                    avatar: TinyPack.golden.appending(path: "compact.avatar"), to: "other-pack.mp4", in: folder,
                    options: ["--range", "171:250"])
                try WaveFile(frames: 16000 * 10).data.write(to: folder.appending(path: "other.wav"))
                try await render("other.wav", to: "other-sound.mp4", in: folder, options: ["--range", "171:250"])
                try WaveFile(frames: 16000 * 12).data.write(to: folder.appending(path: "longer.wav"))
                let bytes = try Data(contentsOf: folder.appending(path: "b.mkv"))
                try bytes.prefix(bytes.count * 2 / 3).write(to: folder.appending(path: "cut.mkv"))
                try Data("no video".utf8).write(to: folder.appending(path: "text.mp4"))
                let before = try names(in: folder)

                let cases: [([String], String, String)] = [
                    (["a.mp4", "c.mp4", "d.mov"], "speech.wav", "100:170 are missing"),
                    (["b.mkv", "c.mp4", "d.mov"], "speech.wav", "0:100 are missing"),
                    (["a.mp4", "b.mkv", "c.mp4"], "speech.wav", "has 250"),
                    (Self.files + ["b.mkv"], "speech.wav", "in another segment"),
                    (Self.files, "longer.wav", "has 300"),
                    (["a.mp4", "b.mkv", "c.mp4", "other-crf.mp4"], "speech.wav", "other settings"),
                    (["a.mp4", "b.mkv", "c.mp4", "other-pack.mp4"], "speech.wav", "another avatar"),
                    (
                        ["a.mp4", "b.mkv", "c.mp4", "other-sound.mp4"], "speech.wav",
                        "another avatar or of another sound"
                    ),
                    (["a.mp4", "cut.mkv", "c.mp4", "d.mov"], "speech.wav", "'cut.mkv'|100:170|missing"),
                    (["whole.mp4"], "speech.wav", "does not say which frames"),
                    (["text.mp4"], "speech.wav", "not a media file"),
                    (["nothing.mp4"], "speech.wav", "does not exist"),
                ]
                for (segments, audio, message) in cases {
                    let outcome = try await join(segments, audio: audio, to: "out.mp4", in: folder)
                    #expect([65, 66].contains(outcome.status), "\(segments): \(outcome.errors)")
                    let isSaid = message.split(separator: "|").contains { outcome.errors.contains($0) }
                    #expect(isSaid, "\(segments): expected '\(message)' in: \(outcome.errors)")
                    #expect(try names(in: folder) == before, "\(segments)")
                }
                #expect(try await join(Self.files, to: "whole.mp4", in: folder).status == 73)
                #expect(try await join(Self.files, to: "folder", in: folder).status == 64)
            }
        }
    }
}
