public import Viseme

/// A network as Viseme reads, checks and writes it: a list of operations in the order in which they run, and their weights.
///
/// Every tensor is Float32 when it runs, axes are N C H W, or N C T, or N C. The few operations are those of the networks of the families;
/// an operation outside the list is an error of the reader, by name.
public struct ModelGraph: Sendable {
    /// One operation.
    public struct Node: Sendable, Equatable {
        /// A readable name: the checkpoint's own (`up1.conv.double_conv.0.conv.3`), or the file's.
        public var name: String
        /// What it does.
        public var operation: Operation
        /// The tensors it reads; weights come after the data.
        public var inputs: [String]
        /// The tensor it makes.
        public var output: String

        /// Makes a node.
        public init(_ operation: Operation, name: String, inputs: [String], output: String) {
            self.name = name
            self.operation = operation
            self.inputs = inputs
            self.output = output
        }
    }

    /// What the caller gives, Float32; the first axis may be the batch.
    public var inputs: [TensorDescription]
    /// What the caller gets, Float32.
    public var outputs: [TensorDescription]
    /// The operations, each after those it reads from.
    public var nodes: [Node]
    /// Weights by name. float32 or float16.
    public var weights: [String: StoredTensor]
    /// Weights that lie on grids of int8, one step for each output channel: they are stored so.
    public var weightSteps: [String: [Float]] = [:]
    /// Inputs that come as points on a grid: of a part of a network in int8.
    public var inputGrids: [String: Grid] = [:]
    /// Whether the file computes in Float16 where it has the choice (a Core ML package of precision fp16).
    public var computesInHalf = false
    /// Tensors of the file that no operation reads.
    public var unusedTensors: [String] = []
    /// What the file says about itself: provenance, author, licence.
    public var metadata: [String: String]

    /// Makes a graph.
    public init(
        inputs: [TensorDescription], outputs: [TensorDescription], nodes: [Node], weights: [String: StoredTensor],
        metadata: [String: String] = [:]
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.nodes = nodes
        self.weights = weights
        self.metadata = metadata
    }

    /// Number of weights.
    public var parameterCount: Int { weights.values.reduce(0) { $0 + $1.count } }
}
