import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Pictures and parts of them")
struct PictureTests {
    @Test(
        "An area grows by its margin to even edges and stays in the picture",
        arguments: [
            // area, margin, picture, expected
            ([11, 7, 5, 4], 0, [100, 80], [10, 6, 6, 6]),
            ([10, 8, 6, 4], 0, [100, 80], [10, 8, 6, 4]),
            ([11, 7, 5, 4], 8, [100, 80], [2, 0, 22, 20]),
            ([90, 70, 10, 10], 8, [100, 80], [82, 62, 18, 18]),
            ([90, 70, 11, 11], 8, [101, 81], [82, 62, 19, 19]),
        ] as [([Int], Int, [Int], [Int])])
    func grown(area: [Int], margin: Int, picture: [Int], expected: [Int]) {
        let result = PixelArea(x: area[0], y: area[1], width: area[2], height: area[3])
            .grown(by: margin, width: picture[0], height: picture[1])
        #expect([result.x, result.y, result.width, result.height] == expected)
    }

    @Test("Any part of a patched picture is that part of the whole, and only the square changed", arguments: 0..<30)
    func patched(seed: Int) throws {
        var random = SeededRandom(seed)
        let base = Image.picture(61, 47, seed: UInt32(seed))
        let size = Int.random(in: 8...30, using: &random)
        let square = PixelArea(
            x: Int.random(in: 0...61 - size, using: &random), y: Int.random(in: 0...47 - size, using: &random),
            side: size)
        let area = PatchedPicture.area(of: square, in: base)
        var patch = base.image(of: area)
        let place = PixelArea(x: square.x - area.x, y: square.y - area.y, side: size)
        let drawn = Image.picture(size, size, seed: UInt32(seed + 1000))
        Compositor.place(drawn, in: &patch, at: place)
        let picture = PatchedPicture(base, patch: patch, area: area, square: square)
        let whole = try picture.image()
        #expect(whole.image(of: square) == drawn)
        for y in 0..<47 {
            for x in 0..<61 where !(square.x..<square.x + size ~= x && square.y..<square.y + size ~= y) {
                let at = (y * 61 + x) * 3
                #expect(whole.bytes[at..<at + 3] == base.bytes[at..<at + 3], "(\(x), \(y))")
            }
        }
        for _ in 0..<20 {
            let (x, y) = (Int.random(in: 0..<61, using: &random), Int.random(in: 0..<47, using: &random))
            let part = PixelArea(
                x: x, y: y, width: Int.random(in: 1...61 - x, using: &random),
                height: Int.random(in: 1...47 - y, using: &random))
            #expect(try picture.image(of: part) == whole.image(of: part), "\(part)")
        }
    }
}
