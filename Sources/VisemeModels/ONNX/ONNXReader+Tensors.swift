import Viseme

extension Onnx_ValueInfoProto {
    /// Name and shape; a symbolic axis is the batch.
    func tensor() throws -> TensorDescription {
        guard case .tensorType(let tensor)? = type.value, tensor.hasShape else {
            throw VisemeError(.unsupported, "The input or output '\(name)' is not a tensor with a shape.")
        }
        guard [1, 10].contains(tensor.elemType) else {
            throw VisemeError(
                .unsupported, "The input or output '\(name)' has ONNX element type \(tensor.elemType), expected float.")
        }
        let axes = try tensor.shape.dim.enumerated().map { i, axis -> TensorDescription.Dimension in
            guard case .dimValue(let length)? = axis.value, length > 0 else {
                guard i == 0 else {
                    throw VisemeError(
                        .unsupported, "The axis \(i) of '\(name)' has no fixed length; only the batch may vary.")
                }
                return .batch
            }
            guard length <= 1 << 20 else {
                throw VisemeError(.badData, "The axis \(i) of '\(name)' has length \(length).")
            }
            return .fixed(Int(length))
        }
        guard (1...8).contains(axes.count) else { throw VisemeError(.badData, "'\(name)' has \(axes.count) axes.") }
        return TensorDescription(name: name, shape: axes)
    }
}
