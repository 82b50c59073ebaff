/// How a convolution moves.
public struct Convolution: Sendable, Equatable {
    /// Steps in y and x.
    public var strides: [Int]
    /// Zeros added at the top, left, bottom and right.
    public var padding: [Int]
    /// Groups; the number of channels for a depthwise convolution.
    public var groups: Int

    /// Makes a description.
    public init(strides: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0], groups: Int = 1) {
        self.strides = strides
        self.padding = padding
        self.groups = groups
    }
}
