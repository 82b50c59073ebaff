/// A rectangle of pixels, such as the crop of a template frame: the part that the generator redraws.
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

    /// Makes a square from its upper left corner and its side.
    public init(x: Int, y: Int, side: Int) { self.init(x: x, y: y, width: side, height: side) }

    /// Makes the crop of a template frame from `[x1, y1, x2, y2]`, ends exclusive.
    ///
    /// - Parameter size: The only size that it may have; nil for squares of any size.
    /// - Throws: `.badData` when the numbers are no crop of that size, or not a square of at least 8 pixels.
    public init(corners: [Int], size: PixelSize? = nil) throws {
        guard corners.count == 4 else {
            throw VisemeError(.badData, "A crop square is four numbers [x1, y1, x2, y2], found \(corners.count).")
        }
        let (width, xOverflow) = corners[2].subtractingReportingOverflow(corners[0])
        let (height, yOverflow) = corners[3].subtractingReportingOverflow(corners[1])
        if let size {
            guard !xOverflow, !yOverflow, width == size.width, height == size.height else {
                throw VisemeError(.badData, "The crop rectangle \(corners) does not have \(size) pixels.")
            }
        } else {
            guard !xOverflow, !yOverflow, width == height, width >= 8 else {
                throw VisemeError(.badData, "The crop rectangle \(corners) is not a square of at least 8 pixels.")
            }
        }
        self.init(x: corners[0], y: corners[1], width: width, height: height)
    }

    /// The rectangle as `[x1, y1, x2, y2]`, ends exclusive.
    public var corners: [Int] { [x, y, x + width, y + height] }

    /// Width and height.
    public var size: PixelSize { PixelSize(width: width, height: height) }

    /// Whether it lies inside a picture of `width` × `height` pixels.
    public func fits(width limitX: Int, height limitY: Int) -> Bool {
        x >= 0 && y >= 0 && width <= limitX && height <= limitY && x <= limitX - width && y <= limitY - height
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
