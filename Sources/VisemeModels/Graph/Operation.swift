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
