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
    public static func area(of square: PixelArea, in picture: any Picture) -> PixelArea {
        square.grown(by: margin, width: picture.width, height: picture.height)
    }

    /// Lays a patch on a picture.
    ///
    /// - Parameters:
    ///   - patch: The pixels of `area` with the square drawn anew.
    ///   - area: `PatchedPicture.area(of: square, in: base)`.
    ///   - square: The square, or the part of it that was drawn.
    public init(_ base: any Picture, patch: Image, area: PixelArea, square: PixelArea) {
        precondition(patch.width == area.width && patch.height == area.height, "a patch covers its area")
        self.base = base
        self.patch = patch
        self.area = area
        changed = square.grown(by: 0, width: base.width, height: base.height)
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
