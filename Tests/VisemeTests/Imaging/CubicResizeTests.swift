import Testing

@testable import Viseme

@Suite("Cubic resize")
struct CubicResizeTests {
    struct Case: Decodable {
        var source: Int
        var target: Int
        var seed: UInt32
        var rows: [Int]
        var offset: Int
    }

    @Test("It equals OpenCV's INTER_CUBIC within one grey level, up and down")
    func equalsOpenCV() throws {
        let cases = try Golden.json([Case].self, "resize.json")
        let golden = [UInt8](try Golden.data("resize.bgr"))
        #expect(cases.count == 10)
        for item in cases {
            let result = CubicResize.resize(
                .picture(item.source, item.source, seed: item.seed), width: item.source, height: item.source,
                targetWidth: item.target, targetHeight: item.target)
            let rowLength = item.target * 3
            var (worst, different) = (0, 0)
            for (i, row) in item.rows.enumerated() {
                for x in 0..<rowLength {
                    let d = abs(Int(result.bytes[row * rowLength + x]) - Int(golden[item.offset + i * rowLength + x]))
                    worst = max(worst, d)
                    different += d > 0 ? 1 : 0
                }
            }
            #expect(worst <= 1, "\(item.source) → \(item.target)")
            // OpenCV's vector code rounds halves otherwise: a few bytes in a hundred are one level off (4.4 % at most today).
            #expect(
                different * 100 < 7 * item.rows.count * rowLength,
                "\(item.source) → \(item.target): \(different) bytes differ")
        }
    }

    @Test("A resize to the same size changes nothing, and one of a part reads only that part", arguments: [8, 33, 120])
    func identity(side: Int) {
        let image = Image.picture(side, side, seed: UInt32(side))
        #expect(CubicResize.resize(image, width: side, height: side, targetWidth: side, targetHeight: side) == image)
        var whole = Image.picture(side + 20, side + 10, seed: 9)
        let square = PixelArea(x: 13, y: 4, side: side)
        for y in 0..<side {
            for i in 0..<side * 3 { whole.bytes[((y + 4) * whole.width + 13) * 3 + i] = image.bytes[y * side * 3 + i] }
        }
        let part = CubicResize.resize(whole, x: 13, y: 4, width: side, height: side, targetWidth: 77, targetHeight: 77)
        #expect(part == CubicResize.resize(image, width: side, height: side, targetWidth: 77, targetHeight: 77))
        #expect(whole.bytes(in: square) == image.bytes)
    }

    @Test("One colour stays that colour", arguments: [UInt8(0), 1, 127, 254, 255])
    func flat(level: UInt8) {
        let result = CubicResize.resize(
            Image(width: 50, height: 50, grey: level), width: 50, height: 50, targetWidth: 328, targetHeight: 328)
        #expect(result == Image(width: 328, height: 328, grey: level))
    }
}
