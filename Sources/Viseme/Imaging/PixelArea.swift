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
