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
        /// Height of the picture, the same for all tensors of a model.
        case height
        /// Width of the picture, the same for all tensors of a model.
        case width
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
        ///
        /// - Parameter picture: The size of the pictures; nil leaves their axes 0.
        public func description(_ picture: PixelSize? = nil) -> TensorDescription {
            TensorDescription(
                name: name,
                shape: axes.map { axis in
                    switch axis {
                    case .batch: .batch
                    case .fixed(let length): .fixed(length)
                    case .height: .fixed(picture?.height ?? 0)
                    case .width: .fixed(picture?.width ?? 0)
                    }
                })
        }
    }

    /// What the model takes.
    public let inputs: [Entry]
    /// What it gives.
    public let outputs: [Entry]
    /// The sizes that its pictures may have.
    public let pictures: PictureSizes

    /// Describes a model.
    public init(inputs: [Entry], outputs: [Entry], pictures: PictureSizes = .squares) {
        self.inputs = inputs
        self.outputs = outputs
        self.pictures = pictures
    }

    /// The size of the pictures in a model's tensor with a role; nil where its shapes are not fixed.
    func picture(of role: TensorRole, among tensors: [TensorDescription]) -> PixelSize? {
        tensors.lazy.compactMap { Self.picture(of: $0, self[role].axes) }.first
    }

    /// The size of the pictures in a tensor that has these axes; nil for another one, or without pictures.
    static func picture(of tensor: TensorDescription, _ axes: [Axis]) -> PixelSize? {
        guard tensor.shape.count == axes.count else { return nil }
        var (height, width): (Int?, Int?)
        for (found, wanted) in zip(tensor.shape, axes) {
            switch (found, wanted) {
            case (.fixed(let length), .fixed(let wanted)) where length != wanted: return nil
            case (.batch, .fixed): return nil
            case (.fixed(let length), .height): height = length
            case (.fixed(let length), .width): width = length
            default: break
            }
        }
        guard let height, let width else { return nil }
        return PixelSize(width: width, height: height)
    }

    /// The tensor with a role.
    public subscript(role: TensorRole) -> Entry {
        guard let entry = (inputs + outputs).first(where: { $0.role == role }) else {
            preconditionFailure("the contract has no tensor for the role '\(role)'")
        }
        return entry
    }
}
