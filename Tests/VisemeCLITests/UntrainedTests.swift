import Foundation
import Testing
import VisemeFFmpeg
import VisemeONNX
import VisemeTestSupport

@testable import Viseme
@testable import VisemeModels

extension CommandLineTests {
    /// What the project began with: a network with random weights, its right hash in the manifest, and no warning.
    @Suite("Packs with untrained models")
    struct UntrainedTests {
        @Test(
            "Every command that draws refuses them and leaves nothing behind",
            arguments: [
                ["render", "--avatar", "broken.avatar", "--audio", "speech.wav", "-o", "out.mp4"],
                ["stream", "--avatar", "broken.avatar", "--input", "speech.wav", "--pace", "none", "-o", "out.mp4"],
                ["features", "--avatar", "broken.avatar", "speech.wav", "-o", "out"],
                ["bench", "--avatar", "broken.avatar", "--audio", "speech.wav", "--seconds", "1", "--runs", "1"],
                ["convert", "broken.avatar", "out.avatar", "--precision", "int8"],
            ])
        func refused(_ arguments: [String]) async throws {
            try await withTemporaryFolder { folder in
                let pack = try BrokenPack(in: folder)
                try pack.forgetTraining(.audioEncoder, seed: 11)
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                let before = try names(in: folder)
                let outcome = try await Program.run(arguments, in: folder)
                #expect(outcome.status == 65 && outcome.signal == nil)
                #expect(outcome.errors.contains("audio_encoder.onnx is NEVER TRAINED"), "\(outcome.errors)")
                #expect(outcome.errors.contains("hint: "))
                #expect(try names(in: folder) == before)
            }
        }

        @Test("A generator of which one layer is fresh is refused, too; as a Core ML package as well")
        func others() async throws {
            try await withTemporaryFolder { folder in
                let pack = try BrokenPack(in: folder)
                try pack.change(.generator) { try $0.reinitialise("up2.conv.double_conv.0.conv.0") }
                let library: String = try #require(Repository.onnxRuntime)
                let backend = TranslatingBackend(splitting: try ONNXBackend(libraryPath: library))
                let partly = await #expect(throws: VisemeError.self) {
                    _ = try await Engine(
                        Avatar(contentsOf: pack.url), backend: backend, media: FFmpeg(), judge: WeightJudge())
                }
                #expect(partly?.message.contains("PARTLY TRAINED") == true)

                try pack.forgetTraining(.generator, seed: 12)
                let (graph, family) = try OpenedModel(at: pack.url.appending(path: "generator.onnx")).network()
                let package = pack.url.appending(path: "generator.mlpackage")
                try MLProgramWriter.package(graph, family: family).write(to: package)
                try pack.edit { manifest in
                    let index = try #require(manifest.models.firstIndex { $0.role == .generator })
                    manifest.models[index].file = "generator.mlpackage"
                    manifest.models[index].sha256 = try ModelFile.sha256(at: package)
                }
                let fresh = await #expect(throws: VisemeError.self) {
                    _ = try await Engine(
                        Avatar(contentsOf: pack.url), backend: backend, media: FFmpeg(), judge: WeightJudge())
                }
                #expect(fresh?.message.contains("generator.mlpackage is NEVER TRAINED") == true)
            }
        }

        @Test("With --allow-untrained they run, and the report and the file say so")
        func allowed() async throws {
            try await withTemporaryFolder { folder in
                let pack = try BrokenPack(in: folder)
                try pack.forgetTraining(.audioEncoder, seed: 13)
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                let outcome = try await Program.run(
                    [
                        "render", "--avatar", "broken.avatar", "--audio", "speech.wav", "-o", "out.mp4", "--json",
                        "--allow-untrained",
                    ], in: folder)
                let report = try Report(outcome)
                #expect(report.warnings.contains { $0.contains("audio_encoder.onnx is NEVER TRAINED") })
                #expect(outcome.output.contains("\"verdict\" : \"NEVER TRAINED\""))
                let file = try Data(contentsOf: folder.appending(path: "out.mp4"))
                #expect(file.range(of: Data("audio_encoder.onnx is NEVER TRAINED".utf8)) != nil)

                let stream = try await Program.run(
                    [
                        "stream", "--avatar", "broken.avatar", "--input", "speech.wav", "--pace", "none", "-o",
                        "live.mp4", "--allow-untrained",
                    ], in: folder)
                #expect(stream.status == 0 && stream.errors.contains("NEVER TRAINED"), "\(stream.errors)")
                let live = try Data(contentsOf: folder.appending(path: "live.mp4"))
                #expect(live.range(of: Data("audio_encoder.onnx is NEVER TRAINED".utf8)) != nil)
            }
        }
    }

    /// Standard streams that are closed, or on a full disk.
    @Suite("Streams that cannot be written", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    struct StandardStreamTests {
        private func folder(_ body: (URL) async throws -> Void) async throws {
            try await withTemporaryFolder { folder in
                _ = try TinyPack(in: folder)
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                try await body(folder)
            }
        }

        @Test("A render ends well although its progress cannot be written", arguments: ["2>/dev/full", "2>&-", "<&-"])
        func messages(_ redirection: String) async throws {
            try await folder { folder in
                let outcome = try await Program.run(
                    ["render", "--avatar", "tiny.avatar", "--audio", "speech.wav", "-o", "out.mp4"], in: folder,
                    script: "\"$0\" \"$@\" \(redirection)")
                #expect(outcome.status == 0)
                #expect(try names(in: folder) == ["out.mp4", "speech.wav", "tiny.avatar"])
            }
        }

        @Test("An error keeps its status although it cannot be said", arguments: ["2>/dev/full", "2>&-"])
        func errors(_ redirection: String) async throws {
            try await folder { folder in
                let outcome = try await Program.run(
                    ["render", "--avatar", "tiny.avatar", "--audio", "none.wav", "-o", "out.mp4"], in: folder,
                    script: "\"$0\" \"$@\" \(redirection)")
                #expect(outcome.status == 66)
            }
        }

        @Test(
            "A result that cannot be written is an error of its own",
            arguments: [
                ["inspect", "tiny.avatar/generator.onnx"], ["inspect", "--json", "tiny.avatar"],
                ["avatar", "info", "tiny.avatar"],
                ["render", "--avatar", "tiny.avatar", "--audio", "speech.wav", "-o", "out.mp4", "--json"],
            ], [">/dev/full", ">&-"])
        func results(_ arguments: [String], _ redirection: String) async throws {
            try await folder { folder in
                let outcome = try await Program.run(arguments, in: folder, script: "\"$0\" \"$@\" \(redirection)")
                #expect(outcome.status == 74, "\(outcome.errors)")
                #expect(outcome.errors.contains("cannot be written to standard output"), "\(outcome.errors)")
            }
        }
    }
}
