/// What a model of a family takes and gives: its tensors by role and axes.
///
/// A model's tensors are found by role and axes, since names differ from export to export. Names decide only between tensors
/// of the same axes, and are those that Viseme writes.
public struct TensorContract: Sendable, Equatable {
    /// One axis of a tensor.
    public enum Axis: Sendable, Equatable {
        /// How many at a time: any number, or one.
        case batch
        /// Exactly this many.
        case fixed(Int)
        /// Height or width of the picture, the same for all tensors of a model: `sides`.
        case side
    }

    /// One tensor.
    public struct Entry: Sendable, Equatable {
        /// What it is for.
        public let role: TensorRole
        /// The role in words, for errors.
        public let title: String
        /// The name in models that Viseme writes.
        public let name: String
        /// The axes, the batch first.
        public let axes: [Axis]

        /// Describes a tensor: its axes after the batch.
        public init(_ role: TensorRole, _ title: String, name: String, _ axes: [Axis]) {
            (self.role, self.title, self.name, self.axes) = (role, title, name, [.batch] + axes)
        }

        /// The tensor as a model file describes it.
        public func description(side: Int = 0) -> TensorDescription {
            TensorDescription(
                name: name,
                shape: axes.map { axis in
                    switch axis {
                    case .batch: .batch
                    case .fixed(let length): .fixed(length)
                    case .side: .fixed(side)
                    }
                })
        }
    }

    /// Sides that a picture may have.
    public static let sides = 16...2048

    /// What the model takes.
    public let inputs: [Entry]
    /// What it gives.
    public let outputs: [Entry]

    /// Describes a model.
    public init(inputs: [Entry], outputs: [Entry]) {
        self.inputs = inputs
        self.outputs = outputs
    }

    /// The side of the pictures in a model's tensor with a role, as far as its shapes are fixed; nil where they are not.
    func side(of role: TensorRole, among tensors: [TensorDescription]) -> Int? {
        let axes = self[role].axes
        return tensors.lazy.compactMap { tensor -> Int? in
            guard tensor.shape.count == axes.count else { return nil }
            var side: Int?
            for (found, wanted) in zip(tensor.shape, axes) {
                switch (found, wanted) {
                case (.fixed(let length), .fixed(let wanted)) where length != wanted: return nil
                case (.batch, .fixed): return nil
                case (.fixed(let length), .side): side = length
                default: break
                }
            }
            return side
        }.first
    }

    /// The tensor with a role.
    public subscript(role: TensorRole) -> Entry {
        guard let entry = (inputs + outputs).first(where: { $0.role == role }) else {
            preconditionFailure("the contract has no tensor for the role '\(role)'")
        }
        return entry
    }
}
