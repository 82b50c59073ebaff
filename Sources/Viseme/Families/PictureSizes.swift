/// The sizes that the pictures of a family's models may have.
public struct PictureSizes: Sendable, Equatable {
    /// Columns.
    public let widths: ClosedRange<Int>
    /// Rows.
    public let heights: ClosedRange<Int>
    /// What width and height are multiples of.
    public let step: Int
    /// Whether height and width are one number.
    public let areSquare: Bool

    /// Squares of any size.
    public static let squares = PictureSizes(widths: 16...2048, heights: 16...2048, step: 1, areSquare: true)

    /// Describes sizes.
    public init(widths: ClosedRange<Int>, heights: ClosedRange<Int>, step: Int, areSquare: Bool = false) {
        (self.widths, self.heights, self.step, self.areSquare) = (widths, heights, step, areSquare)
    }

    /// Whether a picture may have a size.
    public func contains(_ size: PixelSize) -> Bool {
        widths.contains(size.width) && heights.contains(size.height) && size.width % step == 0
            && size.height % step == 0 && (size.isSquare || !areSquare)
    }
}

extension PictureSizes: CustomStringConvertible {
    /// As errors say what was expected.
    public var description: String {
        guard !areSquare else { return "squares" }
        return "widths of \(widths.lowerBound)…\(widths.upperBound) and heights of \(heights.lowerBound)…"
            + "\(heights.upperBound) pixels, multiples of \(step)"
    }
}
