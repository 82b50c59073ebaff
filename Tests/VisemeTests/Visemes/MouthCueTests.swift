import Testing
import VisemeTestSupport
@testable import Viseme

@Suite("Cues and curves of mouth shapes")
struct MouthCueTests {
    /// The cues of names, as text: "A3" holds three frames.
    private func cues(_ names: String, brief: [Character] = ["a"]) -> String {
        var held = MouthCues<Character>(brief: brief)
        var cues = names.compactMap { held.append($0) }
        cues += held.finish()
        return cues.map { "\($0.name)\(Int((($0.end - $0.start) * 25).rounded()))" }.joined(separator: " ")
    }

    @Test("A name of one frame is only shown where it may be brief")
    func brief() {
        #expect(cues("bbbcccc") == "b3 c4")
        #expect(cues("bbbcbbb") == "b7")
        #expect(cues("bbbabbb") == "b3 a1 b3")
        #expect(cues("bcdcbcd") == "b7")
        #expect(cues("bbac") == "b2 a2")
        #expect(cues("bba") == "b2 a1")
        #expect(cues("b") == "b1")
        #expect(cues("") == "")
    }

    @Test("Cues follow one another without a gap, as long as the speech, and hold two frames unless brief")
    func gapless() {
        var random = SeededRandom(5)
        for _ in 0..<200 {
            let names = (0..<Int.random(in: 1...60, using: &random)).map { _ in
                "aabcd".randomElement(using: &random) ?? "b"
            }
            var held = MouthCues<Character>(brief: ["a"])
            var cues = names.compactMap { held.append($0) }
            cues += held.finish()
            #expect(cues.first?.start == 0 && cues.last?.end == Double(names.count) / 25)
            for (one, next) in zip(cues, cues.dropFirst()) {
                #expect(one.end == next.start && one.name != next.name)
            }
            for cue in cues.dropFirst().dropLast() where cue.name != "a" {
                #expect(cue.end - cue.start > 0.079)
            }
        }
    }

    private func curve(_ jaws: [Float], rate: Int) -> [Float] {
        var curve = MouthCurve(rate: rate)
        var out = jaws.flatMap { curve.append(MouthShape(jaw: $0)) }
        out += curve.finish()
        return out.map(\.jaw)
    }

    @Test("At 25 samples a second the frames come as they are")
    func sameRate() {
        #expect(curve([0, 0.5, 1, 0.25], rate: 25) == [0, 0.5, 1, 0.25])
    }

    @Test(
        "Other rates have as many samples as the speech is long, on straight lines",
        arguments: [26, 30, 50, 60, 100, 120])
    func otherRate(rate: Int) {
        let frames = 41
        let samples = curve((0..<frames).map { Float($0) / 40 }, rate: rate)
        #expect(samples.count == (frames * rate + 24) / 25)
        for (index, value) in samples.enumerated() {
            let frame = (Double(index) + 0.5) / Double(rate) * 25 - 0.5
            #expect(abs(Double(value) - min(max(frame, 0), Double(frames - 1)) / 40) < 1e-5)
        }
        #expect(curve([], rate: rate).isEmpty)
        #expect(Set(curve([0.5], rate: rate)) == [0.5])
    }
}
