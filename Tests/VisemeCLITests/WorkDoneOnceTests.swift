import Foundation
import Testing
import VisemeTestSupport
import Viseme

extension CommandLineTests {
    /// The regression gate on work: it counts, it does not time.
    @Suite("Work done once")
    struct WorkDoneOnceTests {
        /// The tiny pack with a generator of the family, whose channels are 2, 4, 8, 16, 32.
        private func pack(in folder: URL) throws -> TinyPack {
            let pack = try TinyPack(in: folder)
            let golden = Repository.root.appending(path: "Tests/VisemeModelsTests/Golden/narrow.onnx")
            try pack.setModel(.generator, Data(contentsOf: golden))
            try pack.edit { json in
                guard var models = json["models"] as? [[String: Any]],
                    let index = models.firstIndex(where: { $0["role"] as? String == "generator" })
                else { throw CocoaError(.fileReadCorruptFile) }
                models[index]["inputs"] = [
                    ["name": "image", "shape": ["B", 6, 320, 320]], ["name": "audio", "shape": ["B", 32, 16, 16]],
                ]
                json["models"] = models
            }
            return pack
        }

        private func render(_ pack: URL, to output: String, in folder: URL, memory: Int) async throws -> Report {
            try Report(
                await Program.run(
                    [
                        "render", "--avatar", pack.path, "--audio", "speech.wav", "-o", output, "--json", "--threads",
                        "2",
                        "--memory", "\(memory)",
                    ], in: folder))
        }

        @Test("A render says what ran how often, exactly, and what is kept changes no byte")
        func counters() async throws {
            try await withTemporaryFolder { folder in
                let pack = try pack(in: folder)
                try WaveFile(frames: 64000, silence: 16000..<48000).data.write(to: folder.appending(path: "speech.wav"))
                let roomy = try await render(pack.url, to: "roomy.mkv", in: folder, memory: 200)
                let tight = try await render(pack.url, to: "tight.mkv", in: folder, memory: 1)
                #expect(roomy.work.template.tensors.count == 6)
                #expect(roomy.work.template.frames == 6 && roomy.work.template.reason == nil)
                #expect(tight.work.template.bytesPerFrame < roomy.work.template.bytesPerFrame)
                // 100 frames, 29 of them silent; six template frames, forth and back; four frames under way.
                let work = roomy.work
                #expect(work.generated == 21 && work.fromKeptFeatures == 57 && work.silentReused == 22, "\(work)")
                #expect(tight.work.silentReused == 22)
                #expect(tight.work.generated + tight.work.fromKeptFeatures == 78)
                let files = try ["roomy", "tight"].map { try Data(contentsOf: folder.appending(path: "\($0).mkv")) }
                #expect(files[0] == files[1])
            }
        }

        @Test("A generator that cannot be split runs as a whole, and the report says why")
        func whole() async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                let report = try await render(TinyPack.original, to: "video.mp4", in: folder, memory: 200)
                #expect(report.work.template.reason?.contains("Slice") == true)
                #expect(report.work.generated == 25 && report.work.fromKeptFeatures == 0)
            }
        }
    }
}
