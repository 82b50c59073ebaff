/// The square of a template frame that the generator redraws: [x1, y1, x2, y2), ends exclusive, in pixels.
public struct CropSquare: Sendable, Equatable {
    /// Left edge.
    public var x: Int
    /// Upper edge.
    public var y: Int
    /// Width and height.
    public var size: Int

    /// Makes a square from its upper left corner and its size.
    public init(x: Int, y: Int, size: Int) {
        self.x = x
        self.y = y
        self.size = size
    }

    /// Makes a square from `[x1, y1, x2, y2]`.
    ///
    /// - Throws: `.badData` when the numbers are not a square of at least 8 pixels.
    public init(corners: [Int]) throws {
        guard corners.count == 4 else {
            throw VisemeError(.badData, "A crop square is four numbers [x1, y1, x2, y2], found \(corners.count).")
        }
        let (width, xOverflow) = corners[2].subtractingReportingOverflow(corners[0])
        let (height, yOverflow) = corners[3].subtractingReportingOverflow(corners[1])
        guard !xOverflow, !yOverflow, width == height, width >= 8 else {
            throw VisemeError(.badData, "The crop rectangle \(corners) is not a square of at least 8 pixels.")
        }
        self.init(x: corners[0], y: corners[1], size: width)
    }

    /// The square as `[x1, y1, x2, y2]`.
    public var corners: [Int] { [x, y, x + size, y + size] }

    /// Whether the square lies inside a frame of `width` × `height` pixels.
    public func fits(width: Int, height: Int) -> Bool {
        x >= 0 && y >= 0 && size <= width && size <= height && x <= width - size && y <= height - size
    }
}
