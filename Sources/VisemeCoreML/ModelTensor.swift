import Viseme

/// An input or output of a Core ML model.
struct ModelTensor: Sendable, Equatable {
    /// Name and shape. The shape is empty where the model does not state it, as it may for an output.
    var description: TensorDescription
    /// What its elements are.
    var element: TensorElement

    /// The name inside the model.
    var name: String { description.name }

    /// The shape with a batch of one.
    var single: [Int] { description.shape.map(\.length) }

    /// Values with a batch of one.
    var count: Int { single.reduce(1, *) }
}
