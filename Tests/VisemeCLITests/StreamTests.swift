import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg

/// The fields of `viseme stream --json`.
private struct StreamReport: Decodable {
    var frames: Int
    var videoSeconds: Double
    var audioSeconds: Double
    var sound: String
    var live: LiveReport
}

extension CommandLineTests {
    @Suite("Stream")
    struct StreamTests {
        private let unpaced = ["stream", "--avatar", TinyPack.original.path, "--pace", "none", "--json"]

        @Test("A container through a pipe gives frames and sound of one length", arguments: ["mp4", "ts", "flv"])
        func containers(kind: String) async throws {
            try await withTemporaryFolder { folder in
                let wave = WaveFile(rate: 44100, channels: 2, frames: 44100 * 3 + 100)
                let outcome = try await Program.run(
                    unpaced + ["-o", "out.\(kind)"], in: folder, input: wave.data)
                try #require(outcome.status == 0, "\(outcome.errors)")
                let report = try JSONDecoder().decode(StreamReport.self, from: Data(outcome.output.utf8))
                #expect(report.frames == 76 && report.live.speech == 76 && report.live.dropped == 0)
                #expect(abs(report.audioSeconds - 76 * 0.04) < 1e-6)
                let summary = try await FFmpeg().probe(folder.appending(path: "out.\(kind)"))
                let (video, audio) = (try #require(summary.video), try #require(summary.audio))
                #expect(video.packets == 76 && video.codec == "h264" && audio.codec == "aac")
                #expect(audio.rate == 44100 && audio.channels == 2)
                // An AAC packet more is the encoder's priming.
                #expect(abs(video.endSeconds - audio.endSeconds) < 0.04 + 1024 / 44100)
                #expect(try names(in: folder) == ["out.\(kind)"])
            }
        }

        @Test("Bare samples on a pipe, fragments on a pipe, the report beside them")
        func pipes() async throws {
            try await withTemporaryFolder { folder in
                let wave = WaveFile(rate: 22050, frames: 22050 * 2)
                let outcome = try await Program.run(
                    unpaced + ["-o", "-", "--format", "s16le", "--rate", "22050"], in: folder,
                    script: #""$0" "$@" >out.mp4"#, input: wave.data.dropFirst(44))
                try #require(outcome.status == 0, "\(outcome.errors)")
                let report = try JSONDecoder().decode(StreamReport.self, from: Data(outcome.errors.utf8))
                #expect(report.frames == 50 && report.sound == "encoded aac 22050 Hz 1 channels")
                let bytes = try Data(contentsOf: folder.appending(path: "out.mp4"))
                // Two seconds in fragments of 200 ms.
                #expect((8...12).contains(count("moof", in: bytes)))
                #expect(count("moov", in: bytes) == 1)
                let summary = try await FFmpeg().probe(folder.appending(path: "out.mp4"))
                let (video, audio) = (try #require(summary.video), try #require(summary.audio))
                #expect(video.packets == 50 && abs(video.endSeconds - audio.endSeconds) < 0.04 + 1024 / 22050)
            }
        }

        private func count(_ name: String, in data: Data) -> Int {
            var (count, rest) = (0, data[...])
            while let range = rest.firstRange(of: Data(name.utf8)) {
                count += 1
                rest = rest[range.upperBound...]
            }
            return count
        }

        @Test("In real time it takes as long as the speech, and what comes out begins with idleness")
        func realTime() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                let start = ContinuousClock.now
                let outcome = try await Program.run(
                    [
                        "stream", "--avatar", TinyPack.original.path, "--input", "speech.wav", "-o", "out.mp4",
                        "--json",
                    ], in: folder)
                try #require(outcome.status == 0, "\(outcome.errors)")
                #expect(ContinuousClock.now - start > .milliseconds(950))
                let report = try JSONDecoder().decode(StreamReport.self, from: Data(outcome.output.utf8))
                #expect(report.live.speech == 25 && report.frames == report.live.units)
                #expect(report.frames >= 25 && report.live.latency["firstFrame"] != nil)
            }
        }

        @Test("SIGINT completes the output: it has its name, and the status is 130", arguments: [SIGINT, SIGTERM])
        func interrupted(signal: Int32) async throws {
            try await withTemporaryFolder { folder in
                let running = try Program.start(
                    [
                        "stream", "--avatar", TinyPack.original.path, "-o", "out.mp4", "--format", "s16le", "--rate",
                        "16000",
                    ], in: folder, script: #"exec "$0" "$@" < <(exec sleep 30 2>/dev/null)"#)
                while try !names(in: folder).contains(where: { $0.contains("partial") }) {
                    try #require(running.isRunning)
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await Task.sleep(for: .milliseconds(700))
                running.send(signal)
                let outcome = try await running.outcome()
                #expect(outcome.status == 130 && outcome.signal == nil, "\(outcome.errors)")
                #expect(try names(in: folder) == ["out.mp4"])
                let summary = try await FFmpeg().probe(folder.appending(path: "out.mp4"))
                #expect((summary.video?.packets ?? 0) >= 5)
            }
        }

        @Test(
            "What is wrong is named, with the status of its kind, and leaves nothing",
            arguments: [
                (["-o", "none/out.mp4"], 73, "no folder"), (["-o", "there.mp4"], 73, "exists"),
                (["-o", "nonsense://host/x"], 73, "nonsense://host/x"),
                (["-o", "out.mp4", "--format", "s16le"], 64, "--rate"),
                (["-o", "out.mp4", "--lookahead", "20"], 64, "40…453"),
                (["-o", "out.mp4", "--input", "absent.wav"], 66, "absent.wav"),
                (["-o", "out.mp4", "--input", "garbage.bin"], 65, "garbage.bin"),
                (["-o", "out.mp4", "--input", "empty.wav"], 65, "no sample"),
                (["-o", "out.mp4", "--format", "s16le", "--rate", "16000"], 65, "no sample"),
            ])
        func errors(arguments: [String], status: Int32, says: String) async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 1600).data.write(to: folder.appending(path: "speech.wav"))
                try WaveFile(frames: 0).data.write(to: folder.appending(path: "empty.wav"))
                try Data((0..<4096).map { UInt8(truncatingIfNeeded: $0 * 37) }).write(
                    to: folder.appending(path: "garbage.bin"))
                try Data().write(to: folder.appending(path: "there.mp4"))
                let before = try names(in: folder)
                let isGiven = arguments.contains("--input") || arguments.contains("--format")
                let input = isGiven ? [] : ["--input", "speech.wav"]
                let outcome = try await Program.run(unpaced + input + arguments, in: folder)
                #expect(outcome.status == status, "\(outcome.errors)")
                #expect(outcome.errors.contains(says), "\(outcome.errors)")
                #expect(try names(in: folder) == before)
            }
        }

        @Test("A reader that goes away is an error of the output")
        func brokenPipe() async throws {
            try await withTemporaryFolder { folder in
                let outcome = try await Program.run(
                    unpaced.filter { $0 != "--json" } + ["-o", "-"], in: folder,
                    script: #""$0" "$@" | head -c 10 >/dev/null; echo "${PIPESTATUS[0]}""#,
                    input: WaveFile(frames: 16000 * 4).data)
                #expect(outcome.output == "73\n", "\(outcome.errors)")
                #expect(outcome.errors.contains("standard output"))
            }
        }
    }
}

extension TinyPackEngineTests {
    @Test("Live frames of a real pack are those of an offline render, byte for byte", arguments: [7, 640, 4001])
    func live(size: Int) async throws {
        let engine = try await engine(TinyPack.original)
        let samples = tone(12000)
        let offline = try await frames(engine, samples)
        let live = try await liveFrames(engine, samples, chunk: size)
        #expect(try live == offline.map { try $0.image } && live.count == 19)
    }
}
