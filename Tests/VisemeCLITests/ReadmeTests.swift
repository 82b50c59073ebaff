import Foundation
import Testing
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// The README's library example, compiled and run.
@Suite struct ReadmeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func example(packURL: URL, speechURL: URL, show: (Image) -> Void) async throws {
        // README begins
        let media = FFmpeg()
        let avatar = try Avatar(contentsOf: packURL)
        let engine = try await Engine(avatar, backend: ONNXBackend(), media: media, judge: WeightJudge())
        for try await frame in engine.frames(for: try await media.speech(at: speechURL)) {
            show(try frame.image)
        }
        // README ends
    }

    @Test func `the README's library example is the code that is compiled here`() throws {
        let readme = try String(contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
        let source = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
        let lines = source.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        let first = try #require(lines.firstIndex(of: "// README begins"))
        let last = try #require(lines.firstIndex(of: "// README ends"))
        let documented = readme.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        for line in lines[(first + 1)..<last] {
            let expected = line.replacingOccurrences(
                of: "packURL", with: "URL(filePath: \"avatars/robin.avatar\")")
            #expect(documented.contains(expected), "README lacks: \(expected)")
        }
    }

    @Test func `the README's library example speaks`() async throws {
        var count = 0
        try await example(
            packURL: Self.root.appending(path: "avatars/robin.avatar"),
            speechURL: Self.root.appending(path: "samples/hello.wav")
        ) { image in
            #expect(image.width == 1280 && image.height == 720)
            count += 1
        }
        #expect(count > 25)
    }
}
