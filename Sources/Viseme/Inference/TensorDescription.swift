/// A tensor's name and shape, as the manifest and the model file state them.
public struct TensorDescription: Sendable, Codable, Equatable {
    /// One axis: a fixed length, or the batch.
    public enum Dimension: Sendable, Codable, Equatable {
        /// Exactly this many.
        case fixed(Int)
        /// Any number ("B" in the manifest).
        case batch

        /// The length with a batch of one.
        public var length: Int {
            switch self {
            case .fixed(let length): length
            case .batch: 1
            }
        }

        /// Reads a number, or the letter "B".
        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let length = try? container.decode(Int.self) {  // not a number: it must be "B", checked next
                self = .fixed(length)
            } else if try container.decode(String.self) == "B" {
                self = .batch
            } else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "A shape holds numbers and the letter \"B\" for the batch.")
            }
        }

        /// Writes a number, or the letter "B".
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .fixed(let length): try container.encode(length)
            case .batch: try container.encode("B")
            }
        }
    }

    /// The name inside the model file.
    public var name: String
    /// The axes, outermost first.
    public var shape: [Dimension]

    /// Makes a description.
    public init(name: String, shape: [Dimension]) {
        self.name = name
        self.shape = shape
    }

    /// The shape as `[B,1,80,16]`.
    public var shapeText: String {
        let axes = shape.map { axis in
            switch axis {
            case .fixed(let length): "\(length)"
            case .batch: "B"
            }
        }
        return "[\(axes.joined(separator: ","))]"
    }
}
