public import Foundation

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

/// Loads any graph, to run it and to read any of its tensors: parts of a generator, models to be proved and compared.
public protocol GraphLoader: Sendable {
    /// Loads a graph.
    ///
    /// - Parameters:
    ///   - model: The bytes of an ONNX file.
    ///   - name: What errors call it.
    ///   - threads: Threads of one run, at least 1.
    ///   - optimised: False for the operations exactly as written, one by one.
    /// - Throws: `.badData` when it cannot be run.
    @concurrent func graph(_ model: Data, name: String, threads: Int, optimised: Bool) async throws -> any LoadedGraph
}

/// A graph that a `GraphLoader` has loaded.
public protocol LoadedGraph: Sendable {
    /// What runs it.
    var runtime: RuntimeDescription { get }

    /// Runs it once.
    ///
    /// - Parameters:
    ///   - inputs: Every input.
    ///   - outputs: The tensors that are wanted.
    /// - Throws: `.badData` when the graph does not fit them.
    func run(_ inputs: [Tensor], outputs: [TensorSlot]) async throws -> [Tensor]
}
