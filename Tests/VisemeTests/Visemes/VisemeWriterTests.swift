import Foundation
import Testing
@testable import Viseme

@Suite("Mouth shapes as text")
struct VisemeWriterTests {
    private static let odd = "a \"b\"\\ <c> & d\n.wav"

    private func text(_ format: VisemeFormat, frames: Int = 50, rate: Int = 25) -> String {
        var writer = VisemeWriter(format, rate: rate, soundFile: Self.odd)
        var out = ""
        for k in 0..<frames {
            let phase = Float(k % 20) / 20
            out += writer.append(
                MouthShape(
                    jaw: phase, width: phase - 0.5, closure: k % 20 < 3 ? 1 : 0,
                    phones: Phone.allCases.map { $0 == (k % 20 < 3 ? .m : .aa) ? 1 : 0 }))
        }
        return out + writer.finish()
    }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test(
        "The JSON forms are JSON, whatever the recording is called, with as many samples as the speech is long",
        arguments: [0, 1, 50])
    func json(frames: Int) throws {
        let plain = try object(text(.json, frames: frames, rate: 50))
        let samples = try #require(plain["samples"] as? [[Any]])
        let columns = try #require(plain["columns"] as? [String])
        #expect(plain["sound"] as? String == Self.odd && plain["rate"] as? Int == 50 && samples.count == frames * 2)
        #expect(samples.allSatisfy { $0.count == columns.count })
        let arkit = try object(text(.arkit, frames: frames))
        #expect((arkit["frames"] as? [[Double]])?.count == frames && (arkit["names"] as? [String])?.count == 52)
        let oculus = try object(text(.oculus, frames: frames))
        let (names, starts, durations) = (
            oculus["visemes"] as? [String], oculus["vtimes"] as? [Double], oculus["vdurations"] as? [Double]
        )
        #expect(
            (oculus["frames"] as? [[Double]])?.count == frames && names?.count == starts?.count
                && names?.count == durations?.count)
        #expect(abs((durations ?? []).reduce(0, +) - Double(frames) * 40) < 1e-6)
        let rhubarb = try object(text(.rhubarbJSON, frames: frames))
        let cues = try #require(rhubarb["mouthCues"] as? [[String: Any]])
        let metadata = try #require(rhubarb["metadata"] as? [String: Any])
        #expect(metadata["duration"] as? Double == Double(frames) / 25 && metadata["soundFile"] as? String == Self.odd)
        #expect(frames == 0 || cues.last?["end"] as? Double == Double(frames) / 25)
        #expect(cues.allSatisfy { MouthLetter(rawValue: $0["value"] as? String ?? "") != nil })
    }

    @Test("JSON lines have one object a sample")
    func lines() throws {
        let lines = text(.jsonl).split(separator: "\n")
        #expect(lines.count == 50)
        for line in lines {
            let sample = try object(String(line))
            #expect(
                (sample["visemes"] as? [Double])?.count == 15 && sample["jaw"] is Double && sample["viseme"] is String)
        }
    }

    @Test("Tables have a header and one line a sample", arguments: [(VisemeFormat.csv, ","), (.tsv, "\t")])
    func table(format: VisemeFormat, separator: String) {
        let lines = text(format, rate: 100).split(separator: "\n").map { $0.components(separatedBy: separator) }
        #expect(lines.count == 201 && lines.allSatisfy { $0.count == 9 } && lines[0][0] == "time")
        #expect(lines[1][0] == "0.005" && lines[200][0] == "1.995")
    }

    @Test("WebVTT and Rhubarb's other forms")
    func cues() {
        let vtt = text(.vtt)
        #expect(
            vtt.hasPrefix("WEBVTT\n\n00:00:00.000 --> 00:00:00.120\nPP\n\n")
                && vtt.hasSuffix("--> 00:00:02.000\naa\n\n"))
        let rhubarb = text(.rhubarb)
        #expect(rhubarb.hasPrefix("0.00\tA\n0.12\t") && rhubarb.hasSuffix("\n2.00\tX\n"))
        let xml = text(.rhubarbXML)
        #expect(xml.hasPrefix("<?xml") && xml.contains("<soundFile>a \"b\"\\ &lt;c&gt; &amp; d\n.wav</soundFile>"))
        #expect(
            xml.contains("<mouthCue start=\"0.00\" end=\"0.12\">A</mouthCue>") && xml.hasSuffix("</rhubarbResult>\n"))
    }

    @Test("Numbers have at most four decimals and no exponent")
    func numbers() {
        var writer = VisemeWriter(.csv)
        let line = writer.append(MouthShape(jaw: 0.123456, width: -0.00001, rounding: 1, closure: 1e-9))
        #expect(line.hasSuffix("\n0.02,0.1235,0,1,0,0,0,0,sil\n"))
        #expect(writer.append(MouthShape(width: -0.5)).hasPrefix("0.06,0,-0.5,"))
    }
}
