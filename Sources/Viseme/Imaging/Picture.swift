/// A picture in whatever form its source keeps it, such as the 4:2:0 planes of a video.
///
/// Only the pixels that somebody needs become B G R: most of a template frame goes into the video as it came.
public protocol Picture: Sendable {
    /// Width in pixels.
    var width: Int { get }
    /// Height in pixels.
    var height: Int { get }
    /// The bytes that the picture occupies.
    var byteCount: Int { get }
    /// The pixels of a part, B G R. Any part gives the very pixels that the whole has there.
    ///
    /// - Parameter area: Inside the picture.
    func image(of area: PixelArea) throws -> Image
}

extension Picture {
    /// All pixels, B G R.
    public func image() throws -> Image { try image(of: PixelArea(x: 0, y: 0, width: width, height: height)) }

    /// The pixels of a part, found to be as many as were asked for.
    ///
    /// - Throws: `.internal` when this kind of picture gives another size: what follows counts on it.
    func checkedImage(of area: PixelArea) throws -> Image {
        let image = try image(of: area)
        guard image.width == area.width, image.height == area.height else {
            throw VisemeError(
                .internal,
                "A picture gave \(image.width)×\(image.height) pixels where \(area.width)×\(area.height) were asked for."
            )
        }
        return image
    }
}

/// A rectangle of pixels.
public struct PixelArea: Sendable, Hashable {
    /// Left edge.
    public var x: Int
    /// Upper edge.
    public var y: Int
    /// Columns, at least 1.
    public var width: Int
    /// Rows, at least 1.
    public var height: Int

    /// Makes a rectangle from its upper left corner and its size.
    public init(x: Int, y: Int, width: Int, height: Int) {
        (self.x, self.y, self.width, self.height) = (x, y, width, height)
    }

    /// The pixels of a crop square.
    public init(_ square: CropSquare) {
        self.init(x: square.x, y: square.y, width: square.size, height: square.size)
    }

    /// The rectangle with `margin` pixels around it and its edges on even numbers, as far as a picture of this size reaches.
    ///
    /// In 4:2:0 two by two pixels share a colour, and the colours between them are made from their neighbours.
    public func grown(by margin: Int, width limitX: Int, height limitY: Int) -> PixelArea {
        let (left, top) = (max(0, x - margin) / 2 * 2, max(0, y - margin) / 2 * 2)
        let right = min(limitX, (x + width + margin + 1) / 2 * 2)
        let bottom = min(limitY, (y + height + margin + 1) / 2 * 2)
        return PixelArea(x: left, y: top, width: right - left, height: bottom - top)
    }
}

extension Image: Picture {
    /// The length of `bytes`.
    public var byteCount: Int { bytes.count }

    /// A part of the image.
    public func image(of area: PixelArea) -> Image {
        precondition(area.x >= 0 && area.y >= 0 && area.x + area.width <= width && area.y + area.height <= height)
        if area.width == width, area.height == height { return self }
        let length = area.width * 3
        var part: [UInt8] = []
        part.reserveCapacity(length * area.height)
        for row in area.y..<area.y + area.height {
            let start = (row * width + area.x) * 3
            part += bytes[start..<start + length]
        }
        return Image(width: area.width, height: area.height, bytes: part)
    }
}

/// A picture of which a rectangle was drawn anew: a frame of the talking head.
public struct PatchedPicture: Picture {
    /// The margin of real pixels around `changed`, so that their colours can be coded as in a whole picture.
    public static let margin = 8

    /// The picture below: a template frame.
    public let base: any Picture
    /// What lies on it, with a margin that equals the base.
    public let patch: Image
    /// Where `patch` lies.
    public let area: PixelArea
    /// The part that may differ from the base; its edges are even, but for the picture's own.
    public let changed: PixelArea

    /// The area that must be drawn to change a square of a picture.
    public static func area(of square: CropSquare, in picture: any Picture) -> PixelArea {
        PixelArea(square).grown(by: margin, width: picture.width, height: picture.height)
    }

    /// Lays a patch on a picture.
    ///
    /// - Parameters:
    ///   - patch: The pixels of `area` with the square drawn anew.
    ///   - area: `PatchedPicture.area(of: square, in: base)`.
    ///   - square: The square.
    public init(_ base: any Picture, patch: Image, area: PixelArea, square: CropSquare) {
        precondition(patch.width == area.width && patch.height == area.height, "a patch covers its area")
        self.base = base
        self.patch = patch
        self.area = area
        changed = PixelArea(square).grown(by: 0, width: base.width, height: base.height)
    }

    /// Width in pixels.
    public var width: Int { base.width }
    /// Height in pixels.
    public var height: Int { base.height }
    /// Of the base and the patch.
    public var byteCount: Int { base.byteCount + patch.byteCount }

    /// The pixels of a part with the patch on them.
    public func image(of wanted: PixelArea) throws -> Image {
        var image = try base.checkedImage(of: wanted)
        let columns = max(area.x, wanted.x)..<max(area.x, wanted.x, min(area.x + area.width, wanted.x + wanted.width))
        for y in max(area.y, wanted.y)..<max(area.y, wanted.y, min(area.y + area.height, wanted.y + wanted.height)) {
            let to = ((y - wanted.y) * wanted.width + columns.lowerBound - wanted.x) * 3
            let from = ((y - area.y) * area.width + columns.lowerBound - area.x) * 3
            for i in 0..<columns.count * 3 { image.bytes[to + i] = patch.bytes[from + i] }
        }
        return image
    }
}
