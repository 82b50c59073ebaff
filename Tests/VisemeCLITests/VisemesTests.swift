import Foundation
import Testing
import VisemeFFmpeg
import VisemeONNX
import VisemeTestSupport
@testable import Viseme
@testable import VisemeModels

extension CommandLineTests {
    @Suite("Visemes")
    struct VisemesTests {
        private static let robin = Repository.robin.path
        private static let hello = Repository.root.appending(path: "samples/hello.wav").path

        /// The samples of a JSON or a JSON-lines text as rows of parameters.
        private func parameters(lines text: String) throws -> [[Double]] {
            try text.split(separator: "\n").map { line in
                let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                return try MouthShape.parameterNames.map { try #require(object[$0] as? Double) }
            }
        }

        @Test("A file, a pipe that comes in pieces and the library give the same numbers, one row a frame")
        func same() async throws {
            try await withTemporaryFolder { folder in
                let file = try await Program.run(
                    ["visemes", Self.hello, "--avatar", Self.robin, "--format", "jsonl"], in: folder)
                #expect(file.status == 0, "\(file.errors)")
                let rows = try parameters(lines: file.output)
                let live = try await Program.run(
                    [
                        "stream", "--input", Self.hello, "--output", "live.jsonl", "--container", "visemes", "--avatar",
                        Self.robin,
                    ], in: folder)
                #expect(live.status == 0, "\(live.errors)")
                #expect(try String(contentsOf: folder.appending(path: "live.jsonl"), encoding: .utf8) == file.output)

                let library = try #require(Repository.onnxRuntime)
                let reader = try await MouthReader(
                    Avatar(contentsOf: Repository.robin), backend: ONNXBackend(libraryPath: library),
                    judge: WeightJudge())
                let speech = try await FFmpeg().speech(at: URL(filePath: Self.hello))
                var writer = VisemeWriter(.jsonl)
                var text = ""
                for try await shape in reader.shapes(for: speech) { text += writer.append(shape) }
                #expect(text + writer.finish() == file.output)
                // The mouth opens and closes in what it hears.
                let jaws = rows.map { $0[0] }
                #expect(
                    jaws.count > 100 && (jaws.max() ?? 0) > 0.4 && (jaws.first ?? 1) < 0.1 && (jaws.last ?? 1) < 0.1)
                #expect(rows.contains { $0[3] > 0.8 }, "hello.wav has lips that touch")
            }
        }

        @Test("Nothing is overwritten unasked, and a rate is only for what has samples")
        func refuses() async throws {
            try await withTemporaryFolder { folder in
                let out = folder.appending(path: "out.csv")
                try "mine".write(to: out, atomically: true, encoding: .utf8)
                let exists = try await Program.run(
                    ["visemes", Self.hello, "--avatar", Self.robin, "-o", "out.csv", "--format", "csv"], in: folder)
                #expect(exists.status == 73)
                #expect(try String(contentsOf: out, encoding: .utf8) == "mine")
                let missing = try await Program.run(
                    ["visemes", "nowhere.wav", "--avatar", Self.robin, "-o", "new.csv"], in: folder)
                #expect(missing.status == 66)
                let rate = try await Program.run(
                    ["visemes", Self.hello, "--avatar", Self.robin, "--format", "rhubarb", "--rate", "60"], in: folder)
                #expect(rate.status == 64)
                #expect(try names(in: folder) == ["out.csv"])
                let forced = try await Program.run(
                    [
                        "visemes", Self.hello, "--avatar", Self.robin, "-o", "out.csv", "--format", "csv", "--rate",
                        "100", "--force",
                    ], in: folder)
                #expect(forced.status == 0, "\(forced.errors)")
                #expect(try String(contentsOf: out, encoding: .utf8).hasPrefix("time,jaw"))
            }
        }

        @Test("A pack without an articulator says so by name")
        func withoutArticulator() async throws {
            try await withTemporaryFolder { folder in
                let outcome = try await Program.run(
                    ["visemes", Self.hello, "--avatar", Repository.inheritedRobin.path], in: folder)
                #expect(outcome.status == 66 && outcome.errors.contains("no articulator"), "\(outcome.errors)")
                #expect(outcome.output.isEmpty)
            }
        }

        @Test("Silence is a mouth at rest in every frame")
        func silence() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 160_000, silence: 0..<160_000).data.write(
                    to: folder.appending(path: "silence.wav"))
                let outcome = try await Program.run(
                    ["visemes", "silence.wav", "--avatar", Self.robin, "--format", "rhubarb"], in: folder)
                #expect(outcome.output == "0.00\tX\n10.00\tX\n", "\(outcome.output)\(outcome.errors)")
            }
        }
    }
}
