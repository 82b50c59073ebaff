import Testing

@testable import Viseme

@Suite("Compositor")
struct CompositorTests {
    struct Facts: Decodable {
        var square: [Int]
        var rows: [Int]
        var maskedZeroPixels: Int
        var planeMeans: [Double]
        var pingPong: [String: [Int]]
    }

    private let compositor = Compositor(GeneratorFamily.syncTalk2D.geometry)
    private let frame = Image.picture(200, 160, seed: 77)
    private let square = PixelArea(x: 40, y: 20, side: 120)

    private func worst(_ a: some Sequence<UInt8>, _ b: some Sequence<UInt8>) -> Int {
        zip(a, b).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) }
    }

    @Test("A caller's mistake stops the program before it reads or writes outside of an image")
    func preconditions() async {
        await #expect(processExitsWith: .failure) {
            _ = Compositor(GeneratorFamily.syncTalk2D.geometry).generatorInput(
                roi: Image(width: 8, height: 8), masked: Image(width: 320, height: 320))
        }
        await #expect(processExitsWith: .failure) {
            var frame = Image(width: 100, height: 100)
            Compositor.place(Image(width: 20, height: 20), in: &frame, at: PixelArea(x: 90, y: 90, side: 20))
        }
        await #expect(processExitsWith: .failure) {
            var frame = Image(width: 100, height: 100)
            Compositor.place(Image(width: 10, height: 10), in: &frame, at: PixelArea(x: 0, y: 0, side: 20))
        }
        await #expect(processExitsWith: .failure) {
            _ = try Compositor(GeneratorFamily.syncTalk2D.geometry).paste(
                mouth: [Float](repeating: 0, count: 3 * 320 * 320), crop: Image(width: 300, height: 300),
                into: Image(width: 400, height: 400), at: PixelArea(x: 0, y: 0, side: 100))
        }
        await #expect(processExitsWith: .success) {
            _ = try Compositor(GeneratorFamily.syncTalk2D.geometry).paste(
                mouth: [Float](repeating: 0, count: 3 * 320 * 320), crop: Image(width: 328, height: 328),
                into: Image(width: 400, height: 400), at: PixelArea(x: 0, y: 0, side: 100))
        }
    }

    @Test("The crop is the Python reference's within one grey level")
    func crop() throws {
        let facts = try Golden.json(Facts.self, "compositor.json")
        #expect(try PixelArea(corners: facts.square) == square)
        let crop = compositor.crop(frame, at: square)
        let golden = [UInt8](try Golden.data("crop.bgr"))
        for (i, row) in facts.rows.enumerated() {
            #expect(worst(crop.bytes[row * 984..<(row + 1) * 984], golden[i * 984..<(i + 1) * 984]) <= 1, "row \(row)")
        }
    }

    @Test("Roi, masked roi and tensor: 4 pixels off the edge, 94 550 black pixels, B G R planes divided by 255")
    func generatorInput() throws {
        let facts = try Golden.json(Facts.self, "compositor.json")
        let crop = compositor.crop(frame, at: square)
        var roi = compositor.roi(of: crop)
        #expect(roi.bytes[0...2] == crop.bytes[(4 * 328 + 4) * 3...(4 * 328 + 4) * 3 + 2])
        #expect(roi.bytes.suffix(3) == crop.bytes[(323 * 328 + 323) * 3...(323 * 328 + 323) * 3 + 2])
        let tensor = compositor.generatorInput(roi: roi, masked: compositor.masked(roi))
        #expect(tensor.count == 6 * 320 * 320)
        for (plane, mean) in facts.planeMeans.enumerated() {
            let sum = tensor[plane * 102_400..<(plane + 1) * 102_400].reduce(0) { $0 + Double($1) }
            // A few bytes in a hundred may be one level off, either way.
            #expect(abs(sum / 102_400 - mean) < 1e-4, "plane \(plane)")
        }
        #expect(tensor[0] == Float(roi.bytes[0]) / 255)
        #expect(tensor[2 * 102_400 + 5] == Float(roi.bytes[17]) / 255)

        for i in roi.bytes.indices { roi.bytes[i] |= 1 }
        let masked = compositor.masked(roi)
        var black: [(x: Int, y: Int)] = []
        for y in 0..<320 {
            for x in 0..<320 where masked.bytes[(y * 320 + x) * 3..<(y * 320 + x) * 3 + 3].allSatisfy({ $0 == 0 }) {
                black.append((x, y))
            }
        }
        #expect(black.count == 94_550)
        #expect(black.count == facts.maskedZeroPixels)
        #expect(black.map(\.x).min() == 5 && black.map(\.x).max() == 314)
        #expect(black.map(\.y).min() == 5 && black.map(\.y).max() == 309)
    }

    @Test("The paste is the Python reference's within two grey levels: one from each resize")
    func paste() throws {
        let mouth = Image.picture(320, 320, seed: 78)
        let tensor = (0..<3).flatMap { c in (0..<102_400).map { (Float(mouth.bytes[$0 * 3 + c]) + 0.5) / 255 } }
        let result = try compositor.paste(
            mouth: tensor, crop: compositor.crop(frame, at: square), into: frame, at: square)
        let golden = [UInt8](try Golden.data("paste.bgr"))
        #expect(worst(result.bytes(in: square), golden) <= 2)
        #expect(psnr(result.bytes(in: square), golden) > 50)
    }

    @Test("Outside the square not one byte changes")
    func outside() throws {
        var result = try compositor.paste(
            mouth: [Float](repeating: 1, count: 3 * 102_400), crop: compositor.crop(frame, at: square), into: frame,
            at: square)
        #expect(result != frame)
        for y in 20..<140 { for i in (y * 200 + 40) * 3..<(y * 200 + 160) * 3 { result.bytes[i] = frame.bytes[i] } }
        #expect(result == frame)
    }

    @Test("×255 is truncated to a byte, and what a sigmoid cannot give is clamped")
    func truncation() throws {
        let crop = Image(width: 328, height: 328, grey: 9)
        for (level, byte) in [
            (Float(0), UInt8(0)), (0.999, 254), (1, 255), (0.5, 127), (-0.5, 0), (1.5, 255), (100.9 / 255, 100),
        ] {
            let filled = try compositor.fill(crop, with: [Float](repeating: level, count: 3 * 102_400))
            #expect(filled.bytes[(160 * 328 + 160) * 3] == byte, "\(level)")
            #expect(filled.bytes[(3 * 328 + 3) * 3] == 9, "the border is the crop's own")
        }
    }

    @Test("NaN and infinity are errors, never a picture", arguments: [Float.nan, .infinity, -.infinity])
    func notFinite(value: Float) {
        for position in [0, 102_401, 3 * 102_400 - 1] {
            var mouth = [Float](repeating: 0.5, count: 3 * 102_400)
            mouth[position] = value
            let error = #expect(throws: VisemeError.self) {
                try compositor.fill(Image(width: 328, height: 328), with: mouth)
            }
            #expect(error?.code == .badData)
        }
    }

    @Test("Returning the roi gives the frame back: ≥ 45 dB in the square and no seam", arguments: [0, 1, 2])
    func identity(kind: Int) throws {
        // A smooth picture as a camera gives it; squares smaller, larger and equal to the crop.
        let side = [182, 331, 328][kind]
        var frame = Image(width: side + 40, height: side + 40)
        for y in 0..<frame.height {
            for x in 0..<frame.width {
                let base = (y * frame.width + x) * 3
                frame.bytes[base] = UInt8(200 - (x + y) % 512 / 5)  // mostly blue
                frame.bytes[base + 1] = UInt8(40 + x * 60 / frame.width)
                frame.bytes[base + 2] = UInt8(20 + y * 30 / frame.height)
            }
        }
        let square = PixelArea(x: 17, y: 11, side: side)
        let crop = compositor.crop(frame, at: square)
        let input = compositor.generatorInput(
            roi: compositor.roi(of: crop), masked: compositor.masked(compositor.roi(of: crop)))
        let result = try compositor.paste(mouth: Array(input.prefix(3 * 102_400)), crop: crop, into: frame, at: square)
        #expect(psnr(result.bytes(in: square), frame.bytes(in: square)) >= 45)
        // Steps across the square's four edges, on average, are those of the frame itself.
        func step(_ image: Image) -> Double {
            var sum = 0
            func pixel(_ x: Int, _ y: Int, _ c: Int) -> Int { Int(image.bytes[(y * image.width + x) * 3 + c]) }
            for i in 0..<side {
                for c in 0..<3 {
                    sum +=
                        abs(pixel(17, 11 + i, c) - pixel(16, 11 + i, c))
                        + abs(pixel(17 + i, 11, c) - pixel(17 + i, 10, c))
                    sum += abs(pixel(16 + side, 11 + i, c) - pixel(17 + side, 11 + i, c))
                    sum += abs(pixel(17 + i, 10 + side, c) - pixel(17 + i, 11 + side, c))
                }
            }
            return Double(sum) / Double(12 * side)
        }
        #expect(step(result) <= step(frame) + 0.6)
        let middle = ((11 + side / 2) * frame.width + 17 + side / 2) * 3
        #expect(result.bytes[middle] > 100 && result.bytes[middle + 2] < 60, "blue stays blue")
    }
}

@Suite("Crop geometry")
struct CropGeometryTests {
    @Test("The reference's and the legacy geometry are valid")
    func valid() throws {
        try GeneratorFamily.syncTalk2D.geometry.validate()
        try CropGeometry(crop: 168, roi: 160, border: 4, mask: [5, 5, 155, 150]).validate()
    }

    @Test(
        "Numbers that do not fit are refused",
        arguments: [
            CropGeometry(crop: 320, roi: 320, border: 4, mask: [5, 5, 315, 310]),
            CropGeometry(crop: 328, roi: 320, border: -4, mask: [5, 5, 315, 310]),
            CropGeometry(crop: 8, roi: 0, border: 4, mask: [0, 0, 0, 0]),
            CropGeometry(crop: .max, roi: .max - 8, border: 4, mask: [5, 5, 315, 310]),
            CropGeometry(crop: 328, roi: 320, border: 4, mask: [5, 5, 321, 310]),
            CropGeometry(crop: 328, roi: 320, border: 4, mask: [5, 310, 315, 5]),
            CropGeometry(crop: 328, roi: 320, border: 4, mask: [-1, 5, 315, 310]),
            CropGeometry(crop: 328, roi: 320, border: 4, mask: [5, 5, 315]),
        ])
    func invalid(geometry: CropGeometry) {
        let error = #expect(throws: VisemeError.self) { try geometry.validate() }
        #expect(error?.code == .badData)
    }
}

@Suite("Crop square")
struct CropSquareTests {
    @Test("Corners make a square and back")
    func corners() throws {
        let square = try PixelArea(corners: [532, 210, 714, 392])
        #expect(square == PixelArea(x: 532, y: 210, side: 182))
        #expect(square.corners == [532, 210, 714, 392])
    }

    @Test(
        "What is not a square of at least 8 pixels is refused, overflow included",
        arguments: [
            [], [1, 2, 3], [0, 0, 10, 11], [0, 0, 7, 7], [10, 10, 0, 0], [0, 0, 10, 10, 10], [.min, 0, .max, 10],
            [0, .min, 8, .max],
        ])
    func refused(corners: [Int]) {
        #expect(throws: VisemeError.self) { try PixelArea(corners: corners) }
    }

    @Test(
        "It fits only wholly inside the frame",
        arguments: [
            ([0, 0, 8, 8], true), ([32, 22, 40, 30], true), ([33, 22, 41, 30], false), ([0, -1, 8, 7], false),
            ([-1, 0, 7, 8], false),
            ([0, 0, 31, 31], false), ([.max - 8, 0, .max, 8], false), ([.min, .min, .min + 8, .min + 8], false),
        ])
    func fits(corners: [Int], expected: Bool) throws {
        #expect(try PixelArea(corners: corners).fits(width: 40, height: 30) == expected)
    }
}
