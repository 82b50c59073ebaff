public import Foundation
public import Viseme

/// Runs models with ONNX Runtime.
public struct ONNXBackend: InferenceBackend {
    /// "onnx".
    public let name = "onnx"
    /// The library in use.
    public let library: ONNXRuntimeLibrary

    /// Finds and opens ONNX Runtime.
    ///
    /// - Parameters:
    ///   - libraryPath: The shared library; nil to search (see `ONNXRuntimeLibrary`).
    ///   - provider: What of it runs the models: all of them, never a part.
    /// - Throws: `.unavailable` when it is not found, too old or without the provider.
    public init(libraryPath: String? = nil, provider: ExecutionProvider = .cpu) throws {
        library = try ONNXRuntimeLibrary(path: libraryPath, provider: provider)
    }

    /// Reads a model file's tensors and hash and checks that they fit a role of a family.
    ///
    /// - Throws: `.noInput` when the file is absent, `.badData` when it is not a model of that role.
    public func describe(
        _ role: ModelRole, at url: URL, family: GeneratorFamily = .unnamed
    ) throws -> ModelDescription {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(.noInput, "The \(role.rawValue) '\(url.path)' cannot be read.", cause: error)
        }
        return try describe(role, data, from: url, family: family)
    }

    /// Reads the tensors and the hash of a model in memory and checks that they fit a role of a family.
    ///
    /// - Parameter url: The file that it was made from, for messages.
    /// - Throws: `.badData` when it is not a model of that role.
    public func describe(
        _ role: ModelRole, _ data: Data, from url: URL, family: GeneratorFamily = .unnamed
    ) throws -> ModelDescription {
        var description = ModelDescription(
            role: role, file: url.lastPathComponent, sha256: ModelFile.sha256(of: data), inputs: [], outputs: [])
        let session = try ONNXSession(
            ModelFile(description, contents: data, madeFrom: url), library: library, threads: 1)
        description.inputs = session.inputs
        description.outputs = session.outputs
        guard let contract = family.contract(of: role) else {
            throw VisemeError(.badData, "The family '\(family.name)' has no \(role.rawValue): '\(url.path)'.")
        }
        _ = try TensorBinding(contract, inputs: session.inputs, outputs: session.outputs, of: description)
        return description
    }

    /// Loads an audio encoder of the model's family.
    @concurrent public func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
        try ONNXAudioEncoder(model, library: library, threads: threads)
    }

    /// Loads an articulator of the model's family.
    @concurrent public func articulator(_ model: ModelFile, threads: Int) async throws -> any Articulator {
        try ONNXArticulator(model, library: library, threads: threads)
    }

    /// Loads a generator of the model's family.
    @concurrent public func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
        try ONNXGenerator(model, library: library, threads: threads)
    }
}

extension ONNXBackend: GraphLoader {
    /// Loads a graph whose inputs and outputs are Float32, Float16 or UInt8.
    @concurrent public func graph(
        _ model: Data, name: String, threads: Int, optimised: Bool
    ) async throws -> any LoadedGraph {
        try ONNXSession(
            model, name: name, library: library, threads: threads, optimised: optimised, takesParts: true)
    }

    /// Loads a graph for several lanes: one native session with its weights, whose runs go beside one another.
    @concurrent public func graphs(
        _ count: Int, of model: Data, name: String, threads: Int
    ) async throws -> [any LoadedGraph] {
        // OpenVINO and CUDA would run a session's lanes one after the other.
        guard library.provider == .cpu else {
            return try await graphEachLane(count, of: model, name: name, threads: threads)
        }
        let first = try ONNXSession(model, name: name, library: library, threads: threads, takesParts: true)
        return [first] + (1..<max(1, count)).map { _ in first.lane() }
    }
}

extension ONNXSession: LoadedGraph {}

/// An audio encoder on ONNX Runtime.
private struct ONNXAudioEncoder: AudioEncoder {
    let session: ONNXSession
    let tensors: TensorBinding
    var runtime: RuntimeDescription { session.runtime }

    init(_ model: ModelFile, library: ONNXRuntimeLibrary, threads: Int) throws {
        session = try ONNXSession(model, library: library, threads: threads)
        tensors = try TensorBinding(
            model.family.audioEncoder, inputs: session.inputs, outputs: session.outputs, of: model.description)
    }

    func encode(_ melWindows: [Float], count: Int) async throws -> [Float] {
        if tensors.isBatched(.mel) { return try await run(melWindows, count: count) }
        let size = tensors.slot(.mel).count
        var rows: [Float] = []
        for k in 0..<count {  // a model with a fixed batch of one
            rows += try await run(Array(melWindows[k * size..<(k + 1) * size]), count: 1)
        }
        return rows
    }

    private func run(_ melWindows: [Float], count: Int) async throws -> [Float] {
        try await session.run(
            [Tensor(tensors.slot(.mel, count: count), .float32(melWindows))],
            outputs: [tensors.slot(.features, count: count)]
        ).first?.floats ?? []
    }
}

/// An articulator on ONNX Runtime.
private struct ONNXArticulator: Articulator {
    let session: ONNXSession
    let tensors: TensorBinding
    var runtime: RuntimeDescription { session.runtime }

    init(_ model: ModelFile, library: ONNXRuntimeLibrary, threads: Int) throws {
        guard let contract = model.family.articulator else {
            throw VisemeError(
                .badData, "The family '\(model.family.name)' has no articulator: '\(model.description.file)'.")
        }
        session = try ONNXSession(model, library: library, threads: threads)
        tensors = try TensorBinding(
            contract, inputs: session.inputs, outputs: session.outputs, of: model.description)
    }

    func articulate(_ featureWindow: [Float]) async throws -> [Float] {
        try await session.run(
            [Tensor(tensors.slot(.audio), .float32(featureWindow))], outputs: [tensors.slot(.articulation)]
        ).first?.floats ?? []
    }
}

/// A generator on ONNX Runtime.
private struct ONNXGenerator: Generator {
    let session: ONNXSession
    let tensors: TensorBinding
    let imageSize: PixelSize
    var runtime: RuntimeDescription { session.runtime }

    init(_ model: ModelFile, library: ONNXRuntimeLibrary, threads: Int) throws {
        session = try ONNXSession(model, library: library, threads: threads)
        tensors = try TensorBinding(
            model.family.generator, inputs: session.inputs, outputs: session.outputs, of: model.description)
        imageSize = tensors.picture ?? PixelSize(square: 0)
    }

    func generate(image pixels: [Float], audio featureWindow: [Float]) async throws -> [Float] {
        try await session.run(
            [
                Tensor(tensors.slot(.image), .float32(pixels)), Tensor(tensors.slot(.audio), .float32(featureWindow)),
            ],
            outputs: [tensors.slot(.mouth)]
        ).first?.floats ?? []
    }
}
