/// Where a tensor goes: what a graph reads or makes.
public struct TensorSlot: Sendable, Equatable {
    /// The name in the graph.
    public var name: String
    /// All axes, the batch included.
    public var shape: [Int]
    /// Types of stored numbers.
    public enum Element: Sendable {
        /// IEEE 754 binary32, binary16, and points on a grid that the graph knows.
        case float32, float16, uint8

        /// Bytes of one number.
        public var byteCount: Int {
            switch self {
            case .float32: 4
            case .float16: 2
            case .uint8: 1
            }
        }
    }

    /// How its numbers are stored.
    public var element: Element

    /// Describes a slot.
    public init(_ name: String, _ shape: [Int], _ element: Element = .float32) {
        self.name = name
        self.shape = shape
        self.element = element
    }

    /// Number of values.
    public var count: Int { shape.reduce(1, *) }
    /// Bytes of the values.
    public var byteCount: Int { count * element.byteCount }
}
