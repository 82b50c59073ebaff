import Viseme

/// The step across the border of what was drawn, and that of the template at the same place.
struct SeamMeasure {
    /// Mean step in grey levels of the pasted picture.
    let pasted: Double
    /// That of the template.
    let template: Double
    /// How much larger the first one is, with the floor added to both.
    var ratio: Double { (pasted + LikenessLimits.floor) / (template + LikenessLimits.floor) }

    /// Of a pasted square.
    init(_ pasted: Image, _ picture: TemplatePicture, _ geometry: CropGeometry) {
        // The paste's own edge, and the edge of the generated part inside the crop's border.
        let inner = max(1, picture.square.width * geometry.border / geometry.crop.width)
        let edges = [0, inner, inner + 1].map { Self.border(of: picture.square, $0) }
        self.init(edges, pasted, picture)
    }

    /// Of what was blended by a mask.
    init(_ pasted: Image, _ picture: TemplatePicture, _ mask: BlendMask) {
        // Where the feather begins, and its middle.
        let edges = [UInt8(1), 128].map { mask.edge(at: $0, of: picture.square) }
        self.init(edges, pasted, picture)
    }

    private init(_ edges: [[PixelPair]], _ pasted: Image, _ picture: TemplatePicture) {
        let steps = edges.map { (Self.step(pasted, $0), Self.step(picture.frame, $0)) }
        (self.pasted, template) = steps.max { $0.0 - $0.1 < $1.0 - $1.1 } ?? (0, 0)
    }

    /// The neighbours across a square's four sides, `offset` pixels inside.
    private static func border(of square: PixelArea, _ offset: Int) -> [PixelPair] {
        let (right, bottom) = (square.x + square.width - offset, square.y + square.height - offset)
        let sides = (0..<square.height).flatMap { i in
            [
                PixelPair(square.x + offset - 1, square.y + i, square.x + offset, square.y + i),
                PixelPair(right, square.y + i, right - 1, square.y + i),
            ]
        }
        return sides
            + (0..<square.width).flatMap { i in
                [
                    PixelPair(square.x + i, square.y + offset - 1, square.x + i, square.y + offset),
                    PixelPair(square.x + i, bottom, square.x + i, bottom - 1),
                ]
            }
    }

    /// Mean difference of neighbouring pixels.
    private static func step(_ image: Image, _ pairs: [PixelPair]) -> Double {
        var (sum, count) = (0, 0)
        for pair in pairs {
            // A square may touch the picture's edge, where there is nothing on the other side.
            guard let (one, two) = pair.offsets(in: image) else { continue }
            for c in 0..<3 { sum += abs(Int(image.bytes[one + c]) - Int(image.bytes[two + c])) }
            count += 3
        }
        return Double(sum) / Double(max(1, count))
    }
}

/// Two neighbouring pixels.
struct PixelPair {
    private let x1, y1, x2, y2: Int

    init(_ x1: Int, _ y1: Int, _ x2: Int, _ y2: Int) { (self.x1, self.y1, self.x2, self.y2) = (x1, y1, x2, y2) }

    /// Where their bytes begin; nil when one of them lies outside.
    func offsets(in image: Image) -> (Int, Int)? {
        guard [x1, x2].allSatisfy((0..<image.width).contains), [y1, y2].allSatisfy((0..<image.height).contains) else {
            return nil
        }
        return ((y1 * image.width + x1) * 3, (y2 * image.width + x2) * 3)
    }
}

extension BlendMask {
    /// The neighbours of which one has at least a level and the other less, in a crop of a picture.
    func edge(at level: UInt8, of square: PixelArea) -> [PixelPair] {
        var pairs: [PixelPair] = []
        for y in 0..<size.height {
            for x in 0..<size.width {
                let isInside = levels[y * size.width + x] >= level
                let (left, top) = (square.x + x, square.y + y)
                if x + 1 < size.width, (levels[y * size.width + x + 1] >= level) != isInside {
                    pairs.append(PixelPair(left, top, left + 1, top))
                }
                if y + 1 < size.height, (levels[(y + 1) * size.width + x] >= level) != isInside {
                    pairs.append(PixelPair(left, top, left, top + 1))
                }
            }
        }
        return pairs
    }

    /// Bytes of a picture that differ from the template where nothing is drawn.
    func changes(outside square: PixelArea, _ pasted: Image, _ frame: Image) -> Int {
        zip(pasted.bytes, frame.bytes).enumerated().count { i, bytes in
            guard bytes.0 != bytes.1 else { return false }
            let (x, y) = (i / 3 % frame.width - square.x, i / 3 / frame.width - square.y)
            let isInCrop = (0..<size.width).contains(x) && (0..<size.height).contains(y)
            return !isInCrop || levels[y * size.width + x] == 0
        }
    }
}
