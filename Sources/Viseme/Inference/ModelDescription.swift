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
    /// What its precision costs; nil for the precision it was trained in.
    public var precision: PrecisionCost?

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
