/// The 256 numbers that a tensor in uint8 can have: step · (q − zero).
public struct Grid: Sendable, Equatable, Hashable {
    /// The distance of two neighbours, positive.
    public var step: Float
    /// The point that means 0.
    public var zero: UInt8

    /// Makes a grid.
    public init(step: Float, zero: UInt8) {
        self.step = step
        self.zero = zero
    }

    /// The finest grid that holds 0 and everything between two numbers.
    public init(from lower: Float, to upper: Float) {
        let (lower, upper) = (min(0, lower), max(0, upper))
        step = max((upper - lower) / 255, .leastNormalMagnitude)
        zero = UInt8(max(0, min(255, (-lower / step).rounded())))
    }
}
