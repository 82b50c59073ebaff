import Foundation
import Testing
import VisemeTestSupport
import Viseme

extension CommandLineTests {
    @Suite("Bench")
    struct BenchTests {
        @Test("Another program runs in turn with ours, and the report has the ratio of each pair")
        func pairs() async throws {
            try await withTemporaryFolder { folder in
                _ = try TinyPack(in: folder)
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                // A program that notes its arguments and takes half a second.
                let other = """
                    #!/bin/bash
                    echo "$@" >> calls
                    sleep 0.5
                    echo '{"cpuSeconds": 0.25, "peakMemoryBytes": 2000000}'
                    """
                try Data(other.utf8).write(to: folder.appending(path: "other.sh"))
                let outcome = try await Program.run(
                    [
                        "bench", "--avatar", "tiny.avatar", "--audio", "speech.wav", "--seconds", "2", "--cores", "1",
                        "--runs", "2", "--against", "bash other.sh", "--json",
                    ], in: folder)
                #expect(outcome.status == 0, "\(outcome.errors)")
                let json = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
                let clips = try #require(json?["clips"] as? [[String: Any]])
                let clip = try #require(clips.first)
                #expect(clips.count == 1 && clip["frames"] as? Int == 50 && clip["cores"] as? Int == 1)
                let own = try #require(clip["viseme"] as? [String: Any])
                let walls = try #require(own["allWallSeconds"] as? [Double])
                #expect(walls.count == 2)
                #expect(try #require(own["cpuMillisecondsPerFrame"] as? Double) > 0)
                let theirs = try #require((clip["others"] as? [[String: Any]])?.first)
                #expect(theirs["cpuMillisecondsPerFrame"] as? Double == 5)
                #expect(theirs["peakMemoryMB"] as? Double == 2)
                let ratio = try #require((clip["ratios"] as? [[String: Any]])?.first)
                let times = try #require(theirs["allWallSeconds"] as? [Double])
                #expect(times.count == 2 && times.allSatisfy { $0 >= 0.5 })
                let pairs = try #require(ratio["pairs"] as? [Double])
                #expect(zip(pairs, zip(walls, times)).allSatisfy { abs($0 - $1.1 / $1.0) < 1e-9 } && pairs.count == 2)
                let calls = try String(contentsOf: folder.appending(path: "calls"), encoding: .utf8)
                    .split(separator: "\n")
                #expect(calls.count == 2)
                #expect(calls.allSatisfy { $0.hasPrefix("\(folder.path)/tiny.avatar ") && $0.hasSuffix("other.mp4 1") })
                let rooflines = try #require(json?["rooflines"] as? [[String: Any]])
                #expect(try #require(rooflines.first?["peakGFLOPS"] as? Double) > 0)
            }
        }

        @Test("A program that fails or says nothing is an error that names it")
        func failures() async throws {
            try await withTemporaryFolder { folder in
                _ = try TinyPack(in: folder)
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                func run(_ other: String) async throws -> Program.Outcome {
                    try await Program.run(
                        [
                            "bench", "--avatar", "tiny.avatar", "--audio", "speech.wav", "--seconds", "1", "--runs",
                            "1", "--against", other,
                        ], in: folder)
                }
                let failed = try await run("false")
                #expect(failed.status == 69)
                #expect(failed.errors.contains("'false") && failed.errors.contains("status 1"))
                let silent = try await run("true")
                #expect(silent.status == 65)
                #expect(silent.errors.contains("'true' did not print"))
            }
        }
    }
}
