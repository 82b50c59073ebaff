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

    /// Loads an articulator. Parameters and errors as for `audioEncoder`.
    @concurrent func articulator(_ model: ModelFile, threads: Int) async throws -> any Articulator

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

extension InferenceBackend {
    /// A backend without articulators.
    ///
    /// - Throws: `.unsupported`.
    @concurrent public func articulator(_ model: ModelFile, threads: Int) async throws -> any Articulator {
        throw VisemeError(
            .unsupported, "The backend '\(name)' runs no articulator.", hint: "Use ONNX Runtime: --provider cpu.")
    }

    /// Loads generators that run as a whole, at the same time: they keep nothing, whatever they may.
    @concurrent public func generators(
        _ model: ModelFile, count: Int, threads: Int, template: TemplateBudget
    ) async throws -> [any Generator] {
        try await concurrently(count) { try await generator(model, threads: threads) }
    }
}
