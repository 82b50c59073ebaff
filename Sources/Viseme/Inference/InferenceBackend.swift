/// Loads models and runs them. ONNX Runtime and Core ML stand behind this protocol.
///
/// Loading reads, hashes and compiles: it never runs on the caller's actor.
public protocol InferenceBackend: Sendable {
    /// The backend's name on the command line and in reports: "onnx".
    var name: String { get }

    /// Loads an audio encoder.
    ///
    /// - Parameters:
    ///   - model: The file, checked against its SHA-256 before a byte of it is used.
    ///   - threads: Threads of one inference, at least 1.
    /// - Throws: `.badData` when the file is not what the manifest says, `.unavailable` when the runtime is absent.
    @concurrent func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder

    /// Loads a generator. Parameters and errors as for `audioEncoder`.
    @concurrent func generator(_ model: ModelFile, threads: Int) async throws -> any Generator

    /// Loads generators of one model that run at the same time, and that may keep what they compute from the template
    /// frames alone.
    ///
    /// - Parameters:
    ///   - count: Generators wanted, at least 1. What can be done once for all of them is done once.
    ///   - template: How much may be kept; it changes nothing but the speed.
    @concurrent func generators(
        _ model: ModelFile, count: Int, threads: Int, template: TemplateBudget
    ) async throws -> [any Generator]
}

/// What runs a model: printed in reports, so that nobody has to guess.
public struct RuntimeDescription: Sendable, Equatable, Codable {
    /// "ONNX Runtime".
    public var runtime: String
    /// The runtime's version as it names itself.
    public var version: String
    /// The provider that runs the nodes: "CPU".
    public var provider: String
    /// Threads of one inference.
    public var threads: Int

    /// Makes a description.
    public init(runtime: String, version: String, provider: String, threads: Int) {
        self.runtime = runtime
        self.version = version
        self.provider = provider
        self.threads = threads
    }
}

/// Turns mel windows into feature rows.
public protocol AudioEncoder: Sendable {
    /// What runs it.
    var runtime: RuntimeDescription { get }

    /// (count, 1, 80, 16) → (count, 512), both row-major Float32.
    func encode(_ windows: [Float], count: Int) async throws -> [Float]
}

/// Redraws the mouth of a roi for a feature window.
public protocol Generator: Sendable {
    /// What runs it.
    var runtime: RuntimeDescription { get }
    /// Side of the image in pixels: 320, or 160 for legacy models.
    var imageSize: Int { get }

    /// Draws one mouth.
    ///
    /// - Parameters:
    ///   - image: (1, 6, S, S) row-major: roi B G R, masked roi B G R, 0…1.
    ///   - audio: (1, 32, 16, 16) row-major: the feature window's 16×512 values.
    /// - Returns: (1, 3, S, S) row-major, B G R in 0…1.
    func generate(image: [Float], audio: [Float]) async throws -> [Float]

    /// What is kept of the template frames.
    var keeping: TemplateKeeping { get }

    /// The first of two steps: what depends on the template frame alone.
    ///
    /// - Parameters:
    ///   - image: Gives the image of `generate(image:audio:)`; called only when something has to be computed.
    ///   - kept: What an earlier call for this template frame said is worth keeping, or nil.
    func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures

    /// The second step: draws one mouth, as `generate(image:audio:)` does.
    func generate(_ features: TemplateFeatures, audio: [Float]) async throws -> [Float]
}
