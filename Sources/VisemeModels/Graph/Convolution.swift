/// How a convolution moves, over one axis or two.
public struct Convolution: Sendable, Hashable {
    /// Steps along each axis: y and x, or time.
    public var strides: [Int]
    /// Zeros added before each axis, then after each: top, left, bottom and right.
    public var padding: [Int]
    /// Distances of neighbouring weights along each axis; 1 for a kernel without holes.
    public var dilations: [Int]
    /// Groups; the number of channels for a depthwise convolution.
    public var groups: Int

    /// Makes a description.
    public init(
        strides: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0], dilations: [Int] = [1, 1], groups: Int = 1
    ) {
        self.strides = strides
        self.padding = padding
        self.dilations = dilations
        self.groups = groups
    }
}
