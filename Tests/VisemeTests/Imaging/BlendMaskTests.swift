import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Blend mask")
struct BlendMaskTests {
    private static let size = PixelSize(width: 4, height: 3)
    private static let levels: [UInt8] = [0, 0, 0, 0, 0, 10, 255, 0, 0, 0, 128, 0]

    private static func pgm(_ header: String = "P5\n4 3\n255\n", _ levels: [UInt8] = levels) -> Data {
        Data(header.utf8) + Data(levels)
    }

    @Test(
        "A binary PGM of the crop's size is read, comments and all",
        arguments: ["P5\n4 3\n255\n", "P5 4 3 255 ", "P5\n# made by hand\n4 3 # size\n255\n", "P5\r\n4\t3\n255\n"])
    func read(header: String) throws {
        let mask = try BlendMask(pgm: Self.pgm(header), size: Self.size, name: "m")
        #expect(mask.levels == Self.levels && mask.size == Self.size)
        #expect(mask.bounds == PixelArea(x: 1, y: 1, width: 2, height: 2))
    }

    struct Hostile: CustomTestStringConvertible {
        var testDescription: String
        var data: Data
        var says: [String]
    }

    static let hostile = [
        Hostile(testDescription: "empty", data: Data(), says: ["P5"]),
        Hostile(testDescription: "text form", data: pgm("P2\n4 3\n255\n"), says: ["P5"]),
        Hostile(testDescription: "other size", data: pgm("P5\n3 4\n255\n"), says: ["3×4", "expected 4×3"]),
        Hostile(testDescription: "sixteen bits", data: pgm("P5\n4 3\n65535\n"), says: ["65535", "expected 255"]),
        Hostile(testDescription: "fifteen levels", data: pgm("P5\n4 3\n15\n"), says: ["15", "expected 255"]),
        Hostile(testDescription: "short", data: pgm().dropLast(), says: ["11 bytes", "expected 12"]),
        Hostile(testDescription: "long", data: pgm() + Data([0]), says: ["13 bytes", "expected 12"]),
        Hostile(testDescription: "no maximum", data: Data("P5\n4 3\n".utf8), says: ["header"]),
        Hostile(testDescription: "letters", data: pgm("P5\nx 3\n255\n"), says: ["header"]),
        Hostile(testDescription: "negative", data: pgm("P5\n-4 3\n255\n"), says: ["header"]),
        Hostile(
            testDescription: "huge", data: pgm("P5\n99999999999999999999999 3\n255\n"), says: ["expected"]),
        Hostile(
            testDescription: "all zero", data: pgm("P5\n4 3\n255\n", [UInt8](repeating: 0, count: 12)),
            says: ["0 everywhere"]),
        Hostile(
            testDescription: "nothing but comments", data: Data("P5\n#".utf8) + Data(repeating: 35, count: 9000),
            says: ["header"]),
    ]

    @Test("What is not such a picture is bad data, by name", arguments: hostile)
    func refused(_ item: Hostile) {
        let error = #expect(throws: VisemeError.self) {
            try BlendMask(pgm: item.data, size: Self.size, name: "mask.pgm")
        }
        #expect(error?.code == .badData && error?.hint != nil)
        for word in ["'mask.pgm'"] + item.says {
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
        }
    }

    @Test("Every truncation is refused")
    func truncations() {
        let whole = Self.pgm()
        for count in 0..<whole.count {
            #expect(throws: VisemeError.self) {
                try BlendMask(pgm: whole.prefix(count), size: Self.size, name: "m")
            }
        }
    }
}

@Suite("Blending")
struct BlendingTests {
    private let size = PixelSize(width: 32, height: 16)

    private func mask() throws -> BlendMask {
        // 0 … 255 from left to right, nothing in the first rows.
        try BlendMask(
            size: size,
            levels: (0..<size.count).map { $0 / size.width < 4 ? 0 : UInt8($0 % size.width * 255 / (size.width - 1)) })
    }

    private func compositor() throws -> Compositor {
        Compositor(CropGeometry(copied: size), .blended, mask: try mask())
    }

    @Test("Crops are copies, and the masked roi is black wherever anything is drawn")
    func crops() throws {
        let frame = Image.picture(50, 40, seed: 3)
        let area = PixelArea(x: 7, y: 9, width: 32, height: 16)
        let (compositor, mask) = (try compositor(), try mask())
        let crop = compositor.crop(frame, at: area)
        #expect(crop == frame.image(of: area) && compositor.roi(of: crop) == crop)
        let masked = compositor.masked(crop)
        for i in 0..<size.count * 3 {
            #expect(masked.bytes[i] == (mask.levels[i / 3] > 0 ? 0 : crop.bytes[i]))
        }
        #expect(compositor.drawn(in: area) == PixelArea(x: 8, y: 13, width: 31, height: 12))
    }

    @Test("A byte is template + (drawn − template)·mask, rounded; where the mask is 0 it is the template's")
    func arithmetic() throws {
        let frame = Image.picture(50, 40, seed: 5)
        let area = PixelArea(x: 7, y: 9, width: 32, height: 16)
        let (compositor, mask) = (try compositor(), try mask())
        // What is outside 0…1 is cut off.
        let mouth = randomFloats(3 * size.count, in: -0.2...1.2, seed: 9)
        let pasted = try compositor.paste(
            mouth: mouth, crop: compositor.crop(frame, at: area), into: frame, at: area)
        var worst = 0.0
        for y in 0..<40 {
            for x in 0..<50 {
                for c in 0..<3 {
                    let (i, column, row) = ((y * 50 + x) * 3 + c, x - area.x, y - area.y)
                    let template = Double(frame.bytes[i])
                    var expected = template
                    if (0..<32).contains(column), (0..<16).contains(row) {
                        let pixel = row * 32 + column
                        let drawn = Double(min(1, max(0, mouth[c * size.count + pixel]))) * 255
                        expected += (drawn - template) * Double(mask.levels[pixel]) / 255
                        if mask.levels[pixel] == 0 { #expect(pasted.bytes[i] == frame.bytes[i]) }
                    }
                    worst = max(worst, abs(Double(pasted.bytes[i]) - expected))
                }
            }
        }
        #expect(worst <= 0.5001)
    }

    @Test("A mouth of another size, or with NaN, is bad data")
    func badMouth() throws {
        let frame = Image.picture(50, 40, seed: 5)
        let area = PixelArea(x: 0, y: 0, width: 32, height: 16)
        let compositor = try compositor()
        let crop = compositor.crop(frame, at: area)
        for mouth in [[Float](repeating: 0, count: 3), [Float](repeating: .nan, count: 3 * size.count)] {
            let error = #expect(throws: VisemeError.self) {
                try compositor.paste(mouth: mouth, crop: crop, into: frame, at: area)
            }
            #expect(error?.code == .badData)
        }
    }
}
