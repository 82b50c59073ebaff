/// An operation of the networks. A further one is a case here, its shape in `ModelGraph+Shapes.swift`, and what the readers and writers of
/// ONNX and Core ML make of it; one without parameters is a line of `named` and no more.
public enum Operation: Sendable, Hashable {
    /// x, weight [out, in/groups, kernel…] and perhaps bias [out].
    case convolution(Convolution)
    /// x [B, in], weight [out, in] and perhaps bias [out].
    case linear
    /// x, gamma, beta, mean, variance, each [C].
    case batchNormalisation(epsilon: Float)
    case relu
    case sigmoid
    /// Along the channels.
    case softmax
    /// Two tensors of one number of axes; an axis of length 1 counts for all places of the other's. One of them may be stored in the
    /// file, and a stored one without axes is a number.
    case add, subtract, multiply, divide, minimum, maximum
    /// Along the channels.
    case concatenate
    /// Bilinear to twice the height and width, corners aligned.
    case upsample
    /// [B, C·f², H, W] → [B, C, f·H, f·W]: channel c·f² + y·f + x goes to channel c, row y and column x of each square.
    case pixelShuffle(Int)
    /// To these axes after the batch.
    case reshape([Int])
    /// The axes in another order; the batch stays the first.
    case transpose([Int])
    /// Some places of an axis that is not the batch.
    case slice(axis: Int, Range<Int>)
    /// To the nearest point of a grid.
    case quantise(Grid)

    /// Operations without parameters, and what ONNX and Core ML call them.
    static let named: [(operation: Operation, onnx: String, coreML: String)] = [
        (.relu, "Relu", "relu"), (.sigmoid, "Sigmoid", "sigmoid"), (.add, "Add", "add"), (.subtract, "Sub", "sub"),
        (.multiply, "Mul", "mul"), (.divide, "Div", "real_div"), (.minimum, "Min", "minimum"),
        (.maximum, "Max", "maximum"),
    ]

    /// Whether it takes two tensors place by place.
    var isPairwise: Bool {
        switch self {
        case .add, .subtract, .multiply, .divide, .minimum, .maximum: true
        default: false
        }
    }

    /// Whether a pairwise operation gives the same with its tensors changed over.
    var isCommutative: Bool { isPairwise && self != .subtract && self != .divide }

    /// The name in listings and errors.
    public var label: String {
        switch self {
        case .convolution: "conv"
        case .linear: "linear"
        case .batchNormalisation: "batch_norm"
        case .softmax: "softmax"
        case .concatenate: "concat"
        case .upsample: "upsample_bilinear"
        case .pixelShuffle: "pixel_shuffle"
        case .reshape: "reshape"
        case .transpose: "transpose"
        case .slice: "slice"
        case .quantise: "quantise"
        case .relu, .sigmoid, .add, .subtract, .multiply, .divide, .minimum, .maximum:
            Self.named.first { $0.operation == self }?.coreML ?? "?"
        }
    }
}
