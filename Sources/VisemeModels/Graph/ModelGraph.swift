public import Viseme

/// A network as Viseme reads, checks and writes it: a list of operations in the order in which they run, and their weights.
///
/// Every tensor is Float32 when it runs, axes are N C H W. The few operations are those of the two networks of this family;
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

/// An operation of the two networks.
public enum Operation: Sendable, Equatable {
    /// x, weight [out, in/groups, kh, kw] and perhaps bias [out].
    case convolution(Convolution)
    /// x, gamma, beta, mean, variance, each [C].
    case batchNormalisation(epsilon: Float)
    case relu
    case sigmoid
    /// Two tensors of one shape.
    case add
    /// Along the channels.
    case concatenate
    /// Bilinear to twice the height and width, corners aligned.
    case upsample
    /// To these axes after the batch.
    case reshape([Int])
    /// To the nearest point of a grid.
    case quantise(Grid)

    /// The name in listings and errors.
    public var label: String {
        switch self {
        case .convolution: "conv"
        case .batchNormalisation: "batch_norm"
        case .relu: "relu"
        case .sigmoid: "sigmoid"
        case .add: "add"
        case .concatenate: "concat"
        case .upsample: "upsample_bilinear"
        case .reshape: "reshape"
        case .quantise: "quantise"
        }
    }
}

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
