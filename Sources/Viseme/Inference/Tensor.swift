/// A tensor between two parts of a network: its name there, its shape and its values, row-major.
public struct Tensor: Sendable, Equatable {
    /// Numbers as they are stored.
    public enum Values: Sendable, Equatable {
        /// Float32.
        case float32([Float])
        /// IEEE 754 binary16, by bit patterns.
        case float16([UInt16])
        /// Points on a grid that the graph knows.
        case uint8([UInt8])

        var count: Int {
            switch self {
            case .float32(let values): values.count
            case .float16(let values): values.count
            case .uint8(let values): values.count
            }
        }

        var element: TensorSlot.Element {
            switch self {
            case .float32: .float32
            case .float16: .float16
            case .uint8: .uint8
            }
        }
    }

    /// Name, shape and element type.
    public var slot: TensorSlot
    /// The values; as many as the shape says.
    public var values: Values

    /// Makes a Float32 tensor.
    public init(_ name: String, _ shape: [Int], _ values: [Float]) {
        self.init(TensorSlot(name, shape), .float32(values))
    }

    /// Makes a tensor; the values must be of the slot's type and number.
    public init(_ slot: TensorSlot, _ values: Values) {
        precondition(
            values.count == slot.count && values.element == slot.element,
            "'\(slot.name)': \(values.count) values of \(values.element) for \(slot.shape) of \(slot.element)")
        self.slot = slot
        self.values = values
    }

    /// The values of a Float32 tensor.
    public var floats: [Float]? { if case .float32(let values) = values { values } else { nil } }

    /// Gives the stored bytes to `body`; they are valid only while it runs.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch values {
        case .float32(let values): try values.withUnsafeBytes(body)
        case .float16(let values): try values.withUnsafeBytes(body)
        case .uint8(let values): try values.withUnsafeBytes(body)
        }
    }
}
