import Testing

@testable import Viseme

@Suite("Landmarks")
struct LandmarksTests {
    private static let lines: [String] = (0..<110).map { "\($0 * 3) \($0 + 100)" }
    private static let text: String = lines.joined(separator: "\n")

    /// The same points, written as people write them.
    private static let spellings: [String] = [
        text, text + "\n", text + "\n\n", lines.joined(separator: "\r\n") + "\r\n",
        lines.map { $0.replacing(" ", with: ".9 ") + ".999" }.joined(separator: "\n"),
        lines.map { " " + $0.replacing(" ", with: "\t") + " " }.joined(separator: "\r\n"),
    ]

    /// 109 good lines and a bad last one; too few; too many.
    private static let broken: [String] =
        ["", "1 2", lines.dropLast().joined(separator: "\n"), text + "\n1 2"]
        + ["1", "1 2 3", "a b", "nan 1", "1e300 1", "inf 1"].map {
            lines.dropLast().joined(separator: "\n") + "\n" + $0
        }

    @Test("LF, CRLF, a blank last line, floats and tabs are all read", arguments: spellings)
    func reads(text: String) throws {
        let landmarks = try Landmarks(parsing: text, name: "7.lms")
        #expect(landmarks.points.count == 110)
        #expect(landmarks.points[31] == (93, 131))
        // x1 = L1.x, y1 = L52.y, x2 = L31.x
        #expect(try landmarks.square(name: "7.lms").corners == [3, 152, 93, 242])
    }

    @Test("Floats are truncated towards zero")
    func truncates() throws {
        var lines = Self.lines
        lines[1] = "-3.99 12.99"
        #expect(try Landmarks(parsing: lines.joined(separator: "\n"), name: "x").points[1] == (-3, 12))
    }

    @Test("What is not 110 pairs of numbers is refused by name", arguments: broken)
    func refuses(text: String) {
        let error = #expect(throws: VisemeError.self) { try Landmarks(parsing: text, name: "landmarks/7.lms") }
        #expect(error?.code == .badData)
        #expect(error?.message.contains("landmarks/7.lms") == true)
    }

    @Test("A face turned round, with its right ear left of its left one, is no square")
    func turned() throws {
        let text = (0..<110).map { "\(500 - $0) \($0)" }.joined(separator: "\n")
        let error = #expect(throws: VisemeError.self) {
            try Landmarks(parsing: text, name: "7.lms").square(name: "7.lms")
        }
        #expect(error?.message.contains("7.lms") == true)
    }
}
