import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Words with times") struct WordAlignerTests {
    /// Frames in which one phone is likely, and the others share the rest.
    private func shapes(_ spoken: [(Phone, Int)], likely: Float = 0.7) -> [MouthShape] {
        spoken.flatMap { phone, count in
            var phones = [Float](repeating: (1 - likely) / Float(Phone.allCases.count - 1), count: Phone.allCases.count)
            phones[Phone.allCases.firstIndex(of: phone).unsafelyUnwrapped] = likely
            return [MouthShape](repeating: MouthShape(phones: phones), count: count)
        }
    }

    private let my = SpokenWord(text: "My", phones: [.m, .aa, .ih])
    private let sun = SpokenWord(text: "sun.", phones: [.s, .ah, .n])

    @Test("Words begin and end where their phones do, pauses belong to none")
    func times() throws {
        let cues = try WordAligner([my, sun]).align(
            shapes([(.sil, 5), (.m, 2), (.aa, 3), (.ih, 1), (.sil, 4), (.s, 3), (.ah, 2), (.n, 2), (.sil, 6)]))
        #expect(
            cues == [MouthCue(name: "My", start: 0.2, end: 0.44), MouthCue(name: "sun.", start: 0.6, end: 0.88)])
        let joined = try WordAligner([my, sun]).align(
            shapes([(.m, 1), (.aa, 1), (.ih, 1), (.s, 1), (.ah, 1), (.n, 1)]))
        #expect(joined.map(\.start) == [0, 0.12] && joined.map(\.end) == [0.12, 0.24])
    }

    @Test("A phone that is too short to be seen is passed over, and what is not said is written with the word before")
    func skips() throws {
        let dash = SpokenWord(text: "–", phones: [])
        let cues = try WordAligner([dash, my, dash, sun]).align(
            shapes([(.m, 2), (.ih, 2), (.s, 2), (.n, 3), (.sil, 2)]))
        #expect(cues.map(\.name) == ["My –", "sun."])
        #expect(cues.map(\.start) == [0, 0.16] && cues.map(\.end) == [0.16, 0.36])
    }

    @Test("Another text, a text that is longer than its recording, and nothing to say are errors")
    func wrong() throws {
        let spoken = shapes([(.sil, 5), (.m, 2), (.aa, 3), (.ih, 2), (.s, 3), (.ah, 2), (.n, 2), (.sil, 6)])
        let other = [SpokenWord(text: "few", phones: [.f, .y, .uw]), SpokenWord(text: "low", phones: [.l, .oo, .uh])]
        #expect(throws: VisemeError.self) { try WordAligner(other).align(spoken) }
        let long = [SpokenWord](repeating: my, count: 40)
        #expect(throws: VisemeError.self) { try WordAligner(long).align(spoken) }
        #expect(throws: VisemeError.self) { try WordAligner([my]).align([]) }
        #expect(throws: VisemeError.self) { try WordAligner([SpokenWord(text: "–", phones: [])]) }
        #expect(throws: VisemeError.self) { try WordAligner([]) }
    }

    @Test("An hour is aligned, with pauses of any length")
    func long() throws {
        var (spoken, words, expected) = ([(Phone, Int)](), [SpokenWord](), [Double]())
        var frames = 0
        for index in 0..<6000 {
            let pause = index % 50 == 0 ? 200 : index % 3
            expected.append(Double(frames + pause) / 25)
            spoken += [(.sil, pause), (.m, 2), (.aa, 3), (.ih, 1), (.s, 2), (.ah, 2), (.n, 1)]
            words += [my, sun]
            frames += pause + 11
        }
        let cues = try WordAligner(words).align(shapes(spoken))
        #expect(cues.count == 12_000 && stride(from: 0, to: 12_000, by: 2).map { cues[$0].start } == expected)
    }

    @Test("Sounds in IPA are the phones that training makes of them")
    func alphabet() throws {
        #expect(Phone.sequence(ipa: "həlˈoʊ") == [.h, .ax, .l, .oo, .uh])
        #expect(Phone.sequence(ipa: "ʃtrˈɑːsə (en)wˈɜːld(de)") == [.sh, .t, .rr, .aa, .s, .ax, .w, .er, .l, .d])
        #expect(Phone.sequence(ipa: "bɔ̃ʒˈuʁ") == [.b, .ao, .sh, .uw, .k] && Phone.sequence(ipa: "") == [])
        #expect(Phone.sequence(ipa: "日") == nil)
        let source = try String(
            contentsOf: Repository.root.appending(path: "training/viseme_train/phonemes.py"), encoding: .utf8)
        let start = try #require(source.range(of: "_IPA = {"))
        let end = try #require(source.range(of: "\n}", range: start.upperBound..<source.endIndex))
        let table = source[start.upperBound..<end.lowerBound].matches(of: /"(.)": "(\w+)"/)
        #expect(table.count > 70)
        for entry in table {
            let letter = try #require(String(entry.1).unicodeScalars.first)
            #expect(Phone.ofIPA[letter]?.rawValue == String(entry.2), "\(entry.1)")
        }
        #expect(Phone.ofIPA.count == table.count)
    }
}
