import Foundation
import Viseme

/// How the words of a text are said, by espeak-ng.
enum Pronunciation {
    /// The words of a text with their phones.
    ///
    /// - Parameter language: A voice of espeak-ng, such as en-us, de or fr-fr.
    /// - Throws: `.unavailable` without espeak-ng; `.usage` for a language that it has not; `.badData` for its failure.
    static func words(of text: String, language: String) throws -> [SpokenWord] {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard !words.isEmpty else { return [] }
        let sounds = try espeak(words, language: language)
        guard sounds.count == words.count else {
            throw VisemeError(
                .badData, "espeak-ng gives the sounds of \(sounds.count) words for \(words.count) of the text.",
                hint: "Update espeak-ng: 1.50 or newer is expected.")
        }
        return try zip(words, sounds).map { word, ipa in
            guard let phones = Phone.sequence(ipa: ipa) else {
                throw VisemeError(.badData, "espeak-ng says '\(word)' as '\(ipa)', which has an unknown sound.")
            }
            return SpokenWord(text: word, phones: phones)
        }
    }

    /// The sounds of words in IPA, one line each.
    private static func espeak(_ words: [String], language: String) throws -> [String] {
        guard language.utf8.allSatisfy({ $0.isLetterOrDigit || $0 == UInt8(ascii: "-") }), !language.hasPrefix("-")
        else {
            throw VisemeError(.usage, "'\(language.prefix(64))' is no language.", hint: "en-us, de, fr-fr, es, pt …")
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: "viseme-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (input, output) = (folder.appending(path: "words"), folder.appending(path: "sounds"))
        // A paragraph each, so that no word changes the next one, and each has a line of its own. Files, not pipes: neither can
        // fill up.
        try words.map { spoken($0) + "\n\n" }.joined().write(to: input, atomically: false, encoding: .utf8)
        guard FileManager.default.createFile(atPath: output.path, contents: nil) else {
            throw VisemeError(.cannotCreate, "'\(output.path)' cannot be created.")
        }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["espeak-ng", "-q", "--ipa", "-v", language, "-f", input.path]
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        switch process.terminationStatus {
        case 0: break
        case 127:
            throw VisemeError(
                .unavailable, "espeak-ng is not installed: it tells how words are said.",
                hint: "sudo apt-get install espeak-ng")
        default:
            throw VisemeError(
                .usage, "espeak-ng does not speak '\(language)' (status \(process.terminationStatus)).",
                hint: "espeak-ng --voices lists its languages.")
        }
        let said = try String(contentsOf: output, encoding: .utf8)
        let lines = said.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.dropLast().map { $0.trimmingCharacters(in: .whitespaces) }
    }

    /// A word as espeak-ng is given it: what is not letter, digit or apostrophe inside would begin another line.
    private static func spoken(_ word: String) -> String {
        let kept = word.map { $0.isLetter || $0.isNumber || "'’".contains($0) ? $0 : " " }
        let text = String(kept).split(separator: " ").joined(separator: " ")
        return text.isEmpty ? "-" : text
    }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
