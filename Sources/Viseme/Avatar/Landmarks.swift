import Foundation

/// The landmark files of SyncTalk_2D datasets: 110 lines `x y`.
///
/// 0–32 is the face contour, 52 the second point up the nose ridge, 90–109 the mouth. Numbers may be integers or floats
/// (truncated); lines end in LF or CRLF; a blank last line is allowed.
struct Landmarks: Sendable {
    /// 110 points.
    let points: [(x: Int, y: Int)]

    init(parsing text: String, name: String) throws {
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
        guard lines.count == 110 else {
            throw VisemeError(.badData, "'\(name)' has \(lines.count) landmarks, expected 110.")
        }
        points = try lines.enumerated().map { index, line in
            let numbers = line.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
            guard numbers.count == 2, numbers.allSatisfy({ $0.isFinite && abs($0) < 1e6 }) else {
                throw VisemeError(.badData, "'\(name)', line \(index + 1): '\(line.prefix(40))' is not \"x y\".")
            }
            return (Int(numbers[0]), Int(numbers[1]))
        }
    }

    /// The crop square: x1 = L1.x, y1 = L52.y, x2 = L31.x, as high as it is wide.
    func square(name: String) throws -> PixelArea {
        let (x1, y1, x2) = (points[1].x, points[52].y, points[31].x)
        do {
            return try PixelArea(corners: [x1, y1, x2, y1 + (x2 - x1)])
        } catch let error as VisemeError {
            throw VisemeError(.badData, "'\(name)': \(error.message)")
        }
    }
}
