import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg

/// Everything that starts the program; one after the other, since each uses all cores.
@Suite(
    "Command line", .serialized, .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
enum CommandLineTests {}

/// The fields of `viseme render --json`.
struct Report: Decodable {
    struct Stage: Decodable {
        var p50: Double
        var p95: Double
    }
    struct Model: Decodable {
        var role: String
        var file: String
        var sha256: String
        var runtime: RuntimeDescription
    }
    var output: String
    var avatar: String
    var frames: Int
    var videoSeconds: Double
    var audioSeconds: Double
    var sound: String
    var elapsedSeconds: Double
    var fps: Double
    var realTimeFactor: Double
    var stagesMilliseconds: [String: Stage]
    var work: RenderReport.Work
    var peakMemoryBytes: Int
    var backend: String
    var models: [Model]
    var warnings: [String]

    init(_ outcome: Program.Outcome) throws {
        guard outcome.status == 0 else {
            Issue.record("exit \(outcome.status): \(outcome.errors)"); throw CocoaError(.executableLoad)
        }
        self = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
    }
}

extension CommandLineTests {
    @Suite("Bad input")
    struct BadInputTests {
        /// One way to go wrong. `prepare` puts files into the working folder, which holds `speech.wav` and `tiny.avatar`.
        struct Wrong: Sendable, CustomTestStringConvertible {
            var name: String
            var status: Int32
            var says: [String]
            var arguments: [String]
            var prepare: @Sendable (URL, TinyPack) async throws -> Void
            var testDescription: String { name }

            init(
                _ name: String, _ status: Int32, says: String..., audio: String = "speech.wav",
                output: String = "out/video.mp4",
                options: [String] = [], prepare: @escaping @Sendable (URL, TinyPack) async throws -> Void = { _, _ in }
            ) {
                self.name = name
                self.status = status
                self.says = says
                arguments =
                    ["render", "--avatar", "tiny.avatar", "--audio", audio, "-o", output, "--threads", "1"] + options
                self.prepare = prepare
            }
        }

        private static func put(_ data: Data, as name: String = "speech.wav")
            -> @Sendable (URL, TinyPack) async throws -> Void
        {
            { folder, _ in try data.write(to: folder.appending(path: name)) }
        }

        private static func pack(_ change: @escaping @Sendable (TinyPack) throws -> Void)
            -> @Sendable (URL, TinyPack) async throws -> Void
        {
            { _, pack in try change(pack) }
        }

        private static func manifest(_ key: String, _ value: @escaping @Sendable () -> Any?)
            -> @Sendable (URL, TinyPack) async throws -> Void
        {
            pack { try $0.edit { $0[key] = value() } }
        }

        static let usage: [Wrong] = [
            Wrong("unknown option", 64, says: "--frobnicate", options: ["--frobnicate"]),
            Wrong("range backwards", 64, says: "range", options: ["--range", "5:2"]),
            Wrong("range in words", 64, says: "range", options: ["--range", "all"]),
            Wrong("range beyond the audio", 64, says: "0:26", "25 frames", options: ["--range", "0:26"]),
            Wrong("quality 99", 64, says: "--crf", options: ["--crf", "99"]),
            Wrong("no thread", 64, says: "--threads", options: ["--threads", "0"]),
            Wrong("no memory", 64, says: "--memory", options: ["--memory", "0"]),
            Wrong("unknown provider", 64, says: "provider", options: ["--provider", "abacus"]),
            Wrong("absent provider", 69, says: "CUDA", options: ["--provider", "cuda"]),
            Wrong(
                "no ONNX Runtime", 69, says: "/nowhere/ort.so: no such file", "make setup",
                options: ["--onnxruntime", "/nowhere/ort.so"]),
            Wrong("no such avatar", 66, says: "'ada'", "VISEME_AVATARS", options: ["--avatar", "ada"]),
        ]

        static let audio: [Wrong] = [
            Wrong("missing audio", 66, says: "nowhere.wav", audio: "nowhere.wav"),
            Wrong("a folder as audio", 66, says: "tiny.avatar", audio: "tiny.avatar"),
            Wrong("empty audio", 65, says: "speech.wav", prepare: put(Data())),
            Wrong("no sample", 65, says: "speech.wav", prepare: put(WaveFile(frames: 0).data)),
            Wrong("text as audio", 65, says: "speech.wav", prepare: put(Data("Sing, goddess, of the anger".utf8))),
            Wrong(
                "noise as audio", 65, says: "speech.wav",
                prepare: put(Data((0..<5000).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 >> 3) }))),
            Wrong(
                "audio cut in its header", 65, says: "speech.wav", prepare: put(WaveFile(frames: 16000).data.prefix(30))
            ),
            Wrong(
                "audio cut before its data", 65, says: "speech.wav",
                prepare: put(WaveFile(frames: 16000).data.prefix(44))),
            Wrong("a video without sound", 65, says: "silent.mp4", "no sound", audio: "silent.mp4") { folder, _ in
                let writer = try await FFmpeg().writer(
                    VideoRequest(url: folder.appending(path: "silent.mp4"), width: 32, height: 32))
                for _ in 0..<5 { try await writer.append(Image(width: 32, height: 32, grey: 99)) }
                _ = try await writer.finish()
            },
            Wrong("a picture as audio", 65, says: "000000.jpg", audio: "tiny.avatar/frames/000000.jpg"),
        ]

        static let packs: [Wrong] = [
            Wrong("no avatar.json", 66, says: "tiny.avatar", prepare: pack { try $0.remove("avatar.json") }),
            Wrong(
                "avatar.json is not JSON", 65, says: "avatar.json", prepare: pack { try $0.write("{", "avatar.json") }),
            Wrong("missing key", 65, says: "\"geometry\"", "missing", prepare: manifest("geometry") { nil }),
            Wrong("unknown format", 65, says: "\"format\" is 7", prepare: manifest("format") { 7 }),
            Wrong("30 fps", 65, says: "\"fps\" is 30", prepare: manifest("fps") { 30 }),
            Wrong(
                "crops escape the pack", 65, says: "../../crops.json", prepare: manifest("crops") { "../../crops.json" }
            ),
            Wrong(
                "template escapes the pack", 65, says: "../tiny.avatar/frames/%06d.jpg",
                prepare: manifest("template") { "../tiny.avatar/frames/%06d.jpg" }),
            Wrong(
                "square out of the frame", 65, says: "frame 3", "160×120",
                prepare: pack {
                    try $0.edit("crops.json") { json in
                        var squares = json["squares"] as? [[Int]] ?? []
                        squares[3] = [150, 50, 214, 114]
                        json["squares"] = squares
                    }
                }),
            Wrong(
                "a template frame is missing", 65, says: "frames", prepare: pack { try $0.remove("frames/000003.jpg") }),
            Wrong(
                "a template frame is no picture", 65, says: "000000.jpg",
                prepare: pack { try $0.write("no picture", "frames/000000.jpg") }),
            Wrong("frames of another size", 65, says: "160×120", prepare: manifest("width") { 200 }),
            Wrong(
                "no generator", 66, says: "has no generator",
                prepare: pack {
                    try $0.edit { json in
                        json["models"] = (json["models"] as? [[String: Any]] ?? []).filter {
                            $0["role"] as? String != "generator"
                        }
                    }
                }),
            Wrong(
                "generator's file is missing", 66, says: "generator.onnx",
                prepare: pack { try $0.remove("generator.onnx") }),
            Wrong(
                "generator was changed", 65, says: "generator.onnx", "SHA-256",
                prepare: pack { try $0.write("changed", "generator.onnx") }),
            Wrong(
                "truncated generator", 65, says: "generator.onnx",
                prepare: pack {
                    try $0.setModel(.generator, Data(contentsOf: $0.url.appending(path: "generator.onnx")).prefix(300))
                }),
            Wrong(
                "wrong-shaped encoder", 65, says: "audio_encoder.onnx", "[B,1,80,20]",
                prepare: pack { try $0.setModel(.audioEncoder, golden: "broken-encoder-shape.onnx") }),
            Wrong(
                "generator as encoder", 65, says: "audio_encoder.onnx",
                prepare: pack { try $0.setModel(.audioEncoder, golden: "identity.onnx") }),
            Wrong(
                "encoder answers NaN", 65, says: "audio encoder", "NaN",
                prepare: pack { try $0.setModel(.audioEncoder, golden: "broken-encoder-nan.onnx") }),
            Wrong(
                "generator answers NaN", 65, says: "generator", "NaN",
                prepare: pack { try $0.setModel(.generator, golden: "broken-generator-nan.onnx") }),
        ]

        static let outputs: [Wrong] = [
            Wrong("no such folder", 73, says: "missing/folder", output: "out/missing/folder/video.mp4"),
            Wrong("below a file", 73, says: "speech.wav/video.mp4", output: "speech.wav/video.mp4"),
            Wrong("a folder of that name", 73, says: "folder.mp4", output: "folder.mp4") { folder, _ in
                try FileManager.default.createDirectory(
                    at: folder.appending(path: "folder.mp4"), withIntermediateDirectories: true)
            },
            Wrong(
                "output exists", 73, says: "old.mp4", "--force", output: "old.mp4",
                prepare: put(Data("old".utf8), as: "old.mp4")),
        ]

        @Test(
            "It ends with the right status, says what is wrong and leaves nothing behind",
            arguments: usage + audio + packs + outputs)
        func refuses(wrong: Wrong) async throws {
            try await withTemporaryFolder { folder in
                try FileManager.default.createDirectory(
                    at: folder.appending(path: "out"), withIntermediateDirectories: true)
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                try await wrong.prepare(folder, try TinyPack(in: folder))
                let before = try names(in: folder)
                let outcome = try await Program.run(wrong.arguments, in: folder)
                #expect(outcome.status == wrong.status, "\(outcome.errors)")
                #expect(outcome.signal == nil)
                for text in wrong.says { #expect(outcome.errors.contains(text), "\(outcome.errors)") }
                #expect(outcome.output.isEmpty)
                #expect(try names(in: folder) == before)
                #expect(try names(in: folder.appending(path: "out")).isEmpty)
            }
        }

        @Test("An existing output stays as it was, unless --force is given")
        func existing() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 3200).data.write(to: folder.appending(path: "speech.wav"))
                let video = folder.appending(path: "video.mp4")
                try Data("mine".utf8).write(to: video)
                let arguments = [
                    "render", "--avatar", TinyPack.original.path, "--audio", "speech.wav", "-o", "video.mp4",
                ]
                #expect(try await Program.run(arguments, in: folder).status == 73)
                #expect(try Data(contentsOf: video) == Data("mine".utf8))
                #expect(try await Program.run(arguments + ["--force"], in: folder).status == 0)
                #expect(try Data(contentsOf: video).count > 1000)
                // A failure with --force does not cost the old video either.
                let good = try Data(contentsOf: video)
                try Data("no sound".utf8).write(to: folder.appending(path: "speech.wav"))
                #expect(try await Program.run(arguments + ["--force"], in: folder).status == 65)
                #expect(try Data(contentsOf: video) == good)
                #expect(try names(in: folder) == ["speech.wav", "video.mp4"])
            }
        }

        @Test("Without arguments it shows its help; an unknown command is a usage error; --version and --help succeed")
        func plain() async throws {
            try await withTemporaryFolder { folder in
                #expect(try await Program.run([], in: folder).errors.isEmpty)
                #expect(try await Program.run(["sing"], in: folder).status == 64)
                #expect(try await Program.run(["render"], in: folder).status == 64)
                let version = try await Program.run(["--version"], in: folder)
                #expect(version.status == 0 && version.output.split(separator: ".").count == 3)
                let help = try await Program.run(["help", "render"], in: folder)
                #expect(help.status == 0 && help.output.contains("--avatar") && help.output.contains("--range"))
            }
        }

        @Test("A full disk is an error, and no half file is left")
        func fullDisk() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(rate: 48000, channels: 2, frames: 48000 * 4).data.write(
                    to: folder.appending(path: "speech.wav"))
                // No file of the program may grow beyond 64 KiB.
                let outcome = try await Program.run(
                    [
                        "render", "--avatar", TinyPack.original.path, "--audio", "speech.wav", "-o", "video.mkv",
                        "--crf", "0",
                    ], in: folder,
                    script: "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"")
                #expect(outcome.status == 73, "\(outcome.errors)")
                #expect(outcome.errors.contains("video.mkv"))
                #expect(try names(in: folder) == ["speech.wav"])
            }
        }

        @Test(
            "SIGINT and SIGTERM in the middle end it with 130 and leave nothing", arguments: [SIGINT, SIGTERM],
            ["video.mp4", "images/"])
        func interrupted(signal: Int32, output: String) async throws {
            try await withTemporaryFolder { folder in
                let running = try await midway(in: folder, output: output)
                running.send(signal)
                let start = ContinuousClock.now
                let outcome = try await running.outcome()
                #expect(outcome.status == 130)
                #expect(outcome.signal == nil)
                #expect(ContinuousClock.now - start < .seconds(5))
                #expect(try names(in: folder) == ["speech.wav"])
            }
        }

        @Test(
            "SIGKILL in the middle leaves nothing under the final name",
            arguments: ["video.mp4", "video.mov", "video.mkv", "images/"])
        func killed(output: String) async throws {
            try await withTemporaryFolder { folder in
                let running = try await midway(in: folder, output: output)
                running.send(SIGKILL)
                #expect(try await running.outcome().signal == SIGKILL)
                #expect(!FileManager.default.fileExists(atPath: folder.appending(path: output).path))
            }
        }

        /// A render of ten minutes that has begun to write.
        private func midway(in folder: URL, output: String) async throws -> Program.Running {
            try WaveFile(rate: 8000, frames: 8000 * 600).data.write(to: folder.appending(path: "speech.wav"))
            let running = try Program.start(
                [
                    "render", "--avatar", TinyPack.original.path, "--audio", "speech.wav", "-o", output, "--threads",
                    "1",
                ], in: folder)
            for _ in 0..<2000 where try names(in: folder) == ["speech.wav"] {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await Task.sleep(for: .milliseconds(400))
            #expect(running.isRunning)
            return running
        }
    }
}
