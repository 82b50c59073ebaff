import Foundation
import Testing
import VisemeTestSupport

extension CommandLineTests {
    @Suite("Words with times", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
    struct WordTimesTests {
        private static let hello = Repository.root.appending(path: "samples/hello.wav").path
        private static let robin = Repository.robin.path
        /// What samples/hello.wav says, and how espeak-ng 1.51 says each word.
        private static let text = """
            Hello, my name is Robin. I am a drawing, and this voice is made by a machine.
            Watch my lips: peppermint, violet, moonbeams.

            """
        private static let sounds = """
            həlˈoʊ mˈaɪ nˈeɪm ˈɪz ɹˈɑːbɪn ˈaɪ ˈæm ˈeɪ dɹˈɔːɪŋ ˈænd ðˈɪs vˈɔɪs ˈɪz mˈeɪd bˈaɪ ˈeɪ məʃˈiːn wˈɑːtʃ mˈaɪ lˈɪps \
            pˈɛpɚmˌɪnt vˈaɪəlɪt mˈuːnbiːmz
            """

        /// The command with a stand-in for espeak-ng, which says `sounds`.
        private func words(
            _ text: String, sounds: String, status: Int = 0, _ options: [String] = [], in folder: URL
        ) async throws -> Program.Outcome {
            try text.write(to: folder.appending(path: "words.txt"), atomically: true, encoding: .utf8)
            let lines = sounds.split(separator: " ").joined(separator: "\\n")
            let program = folder.appending(path: "espeak-ng")
            try "#!/bin/sh\nprintf '\(lines)\\n'\nexit \(status)\n".write(
                to: program, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
            return try await Program.run(
                ["visemes", Self.hello, "--avatar", Self.robin, "--text", "words.txt", "--format", "vtt"] + options,
                in: folder, environment: ["PATH": "\(folder.path):/usr/bin:/bin"])
        }

        @Test("The words of hello.wav come as WebVTT, in their order, where they are spoken")
        func hello() async throws {
            try await withTemporaryFolder { folder in
                let outcome = try await words(Self.text, sounds: Self.sounds, in: folder)
                try #require(outcome.status == 0, "\(outcome.errors)")
                let blocks = outcome.output.components(separatedBy: "\n\n").dropFirst().dropLast()
                let cues = blocks.map { $0.split(separator: "\n") }
                #expect(cues.map { String($0[1]) } == Self.text.split(whereSeparator: \.isWhitespace).map(String.init))
                func seconds(_ time: Substring) -> Double { Double(time.dropFirst(6)) ?? -1 }
                let times = cues.map { cue in
                    let parts = cue[0].components(separatedBy: " --> ")
                    return (start: seconds(Substring(parts[0])), end: seconds(Substring(parts[1])))
                }
                #expect(times.allSatisfy { $0.end - $0.start >= 0.04 && $0.end - $0.start < 1.2 })
                #expect(zip(times, times.dropFirst()).allSatisfy { $0.end <= $1.start })
                // Where pocketsphinx's acoustic model hears the words begin.
                let heard = [
                    0.13, 0.74, 0.92, 1.31, 1.47, 1.98, 2.20, 2.39, 2.43, 2.86, 3.20, 3.45, 3.90, 4.07, 4.28, 4.53,
                    4.59, 5.29, 5.53, 5.71, 6.15, 7.14, 7.90,
                ]
                let apart = zip(times, heard).map { abs($0.start - $1) }
                #expect(apart.allSatisfy { $0 <= 0.13 } && apart.reduce(0, +) / 23 < 0.04, "\(apart)")
            }
        }

        @Test("Another text is refused and leaves no file, and so does an espeak-ng that fails or is missing")
        func refuses() async throws {
            try await withTemporaryFolder { folder in
                let other = try await words(
                    "Wolves howl wherever they go. Who would have thought?",
                    sounds: "wˈʊlvz hˈaʊl wɛɹˈɛvɚ ðˈeɪ ɡˈoʊ hˈuː wˈʊd hˈæv θˈɔːt", ["-o", "out.vtt"], in: folder)
                #expect(other.status == 65 && other.errors.contains("does not say the text"), "\(other.errors)")
                let few = try await words("one two", sounds: "wˈʌn", ["-o", "out.vtt"], in: folder)
                #expect(few.status == 65 && few.errors.contains("1 words for 2"), "\(few.errors)")
                let failing = try await words("one", sounds: "wˈʌn", status: 1, ["-o", "out.vtt"], in: folder)
                #expect(failing.status == 64 && failing.errors.contains("does not speak 'en-us'"), "\(failing.errors)")
                let language = try await words("one", sounds: "wˈʌn", ["--language", "-f/etc/passwd"], in: folder)
                #expect(language.status == 64, "\(language.errors)")
                let format = try await Program.run(
                    ["visemes", Self.hello, "--text", "words.txt", "--format", "csv"], in: folder)
                #expect(format.status == 64)
                let missing = try await Program.run(
                    ["visemes", Self.hello, "--avatar", Self.robin, "--text", "none.txt", "--format", "vtt"], in: folder
                )
                #expect(missing.status == 66)
                #expect(try names(in: folder) == ["espeak-ng", "words.txt"])
            }
        }
    }
}
