import Foundation
import Testing
import VisemeTestSupport

/// The pieces of code that README shows are the programs of Snippets/ (scripts/check-snippets.sh compares the texts): here they run.
@Suite struct ReadmeTests {
    @Test(arguments: [
        ("RenderAFile", "51 pictures"), ("GoLive", "51 pictures, 32640 samples"),
        ("ReadVisemes", "51 shapes, the jaw opens well"),
        ("OwnBackend", "51 frames, measured"),
    ])
    func `README's code does what it says`(snippet: String, says: String) async throws {
        // Two seconds at 16 kHz: 51 frames. The programs lie beside `viseme`.
        let speech = Repository.root.appending(path: "Tests/VisemeTests/Golden/voice-b.wav")
        let outcome = try await Program.run(
            [snippet, speech.path], in: Repository.root, script: #"exec "$(dirname "$0")/$1" "$2""#)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "\(snippet): \(says)\n")
    }

    @Test func `every snippet is run`() throws {
        let snippets = try FileManager.default.contentsOfDirectory(
            atPath: Repository.root.appending(path: "Snippets").path)
        #expect(snippets.sorted() == ["GoLive.swift", "OwnBackend.swift", "ReadVisemes.swift", "RenderAFile.swift"])
    }
}
