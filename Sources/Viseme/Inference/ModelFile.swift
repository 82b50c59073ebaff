public import Foundation

/// What a model does in the pipeline.
public enum ModelRole: String, Sendable, Codable, CaseIterable {
    /// Mel windows → feature rows.
    case audioEncoder = "audio-encoder"
    /// Roi + feature window → mouth.
    case generator
}

/// A tensor's name and shape, as the manifest and the model file state them.
public struct TensorDescription: Sendable, Codable, Equatable {
    /// One axis: a fixed length, or the batch.
    public enum Dimension: Sendable, Codable, Equatable {
        /// Exactly this many.
        case fixed(Int)
        /// Any number ("B" in the manifest).
        case batch

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

/// A model as the manifest describes it.
public struct ModelDescription: Sendable, Codable, Equatable {
    /// What it does.
    public var role: ModelRole
    /// The file inside the pack.
    public var file: String
    /// SHA-256 of the file, 64 hexadecimal digits.
    public var sha256: String
    /// Its inputs.
    public var inputs: [TensorDescription]
    /// Its outputs.
    public var outputs: [TensorDescription]

    /// Makes a description.
    public init(
        role: ModelRole, file: String, sha256: String, inputs: [TensorDescription], outputs: [TensorDescription]
    ) {
        self.role = role
        self.file = file
        self.sha256 = sha256
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// A model file on disk with what the manifest says about it.
public struct ModelFile: Sendable {
    /// Role, hash, names and shapes.
    public let description: ModelDescription
    /// Where it is.
    public let url: URL

    /// The SHA-256 of some bytes, as 64 lower-case hexadecimal digits.
    public static func sha256(of data: Data) -> String { SHA256.hexDigest(of: data) }

    /// Names a model file.
    public init(_ description: ModelDescription, at url: URL) {
        self.description = description
        self.url = url
    }

    /// The file's bytes, after their SHA-256 was found to be the manifest's.
    ///
    /// - Throws: `.noInput` when the file is absent, `.badData` when the hash differs.
    public func read() throws -> Data {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(
                .noInput,
                "The model '\(description.file)' (\(description.role.rawValue)) cannot be read at \(url.path).",
                hint: "Restore the file, or import the pack again.", cause: error)
        }
        let actual = SHA256.hexDigest(of: data)
        guard actual == description.sha256.lowercased() else {
            throw VisemeError(
                .badData,
                "The model '\(description.file)' (\(description.role.rawValue)) has SHA-256 \(actual), the manifest says "
                    + "\(description.sha256).",
                hint: "The file was changed or damaged. Restore it, or import the pack again.")
        }
        return data
    }
}
