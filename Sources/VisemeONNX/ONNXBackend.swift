public import Foundation
public import Viseme

/// Runs models with ONNX Runtime.
public struct ONNXBackend: InferenceBackend {
    /// "onnx".
    public let name = "onnx"
    /// The library in use.
    public let library: OnnxRuntimeLibrary

    /// Finds and opens ONNX Runtime.
    ///
    /// - Parameters:
    ///   - libraryPath: The shared library; nil to search (see `OnnxRuntimeLibrary`).
    ///   - provider: What of it runs the models: all of them, never a part.
    /// - Throws: `.unavailable` when it is not found, too old or without the provider.
    public init(libraryPath: String? = nil, provider: ExecutionProvider = .cpu) throws {
        library = try OnnxRuntimeLibrary(path: libraryPath, provider: provider)
    }

    /// Reads a model file's tensors and hash and checks that they fit a role.
    ///
    /// - Throws: `.noInput` when the file is absent, `.badData` when it is not a model of that role.
    public func describe(_ role: ModelRole, at url: URL) throws -> ModelDescription {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(.noInput, "The \(role.rawValue) '\(url.path)' cannot be read.", cause: error)
        }
        return try describe(role, data, from: url)
    }

    /// Reads the tensors and the hash of a model in memory and checks that they fit a role.
    ///
    /// - Parameter url: The file that it was made from, for messages.
    /// - Throws: `.badData` when it is not a model of that role.
    public func describe(_ role: ModelRole, _ data: Data, from url: URL) throws -> ModelDescription {
        var description = ModelDescription(
            role: role, file: url.lastPathComponent, sha256: ModelFile.sha256(of: data), inputs: [], outputs: [])
        let session = try OnnxSession(
            ModelFile(description, contents: data, madeFrom: url), library: library, threads: 1)
        description.inputs = session.inputs
        description.outputs = session.outputs
        let model = ModelFile(description, contents: data, madeFrom: url)
        switch role {
        case .audioEncoder: _ = try OnnxAudioEncoder(model, library: library, threads: 1)
        case .generator: _ = try OnnxGenerator(model, library: library, threads: 1)
        }
        return description
    }

    /// Loads an audio encoder: (B, 1, 80, 16) → (B, 512).
    @concurrent public func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
        try OnnxAudioEncoder(model, library: library, threads: threads)
    }

    /// Loads a generator: (B, 6, S, S) and (B, 32, 16, 16) → (B, 3, S, S).
    @concurrent public func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
        try OnnxGenerator(model, library: library, threads: threads)
    }
}

extension ONNXBackend: GraphLoader {
    /// Loads a graph whose inputs and outputs are Float32, Float16 or UInt8.
    @concurrent public func graph(
        _ model: Data, name: String, threads: Int, optimised: Bool
    ) async throws -> any LoadedGraph {
        try OnnxSession(
            model, name: name, library: library, threads: threads, optimised: optimised, takesParts: true)
    }
}

extension OnnxSession: LoadedGraph {}

/// An audio encoder on ONNX Runtime.
private struct OnnxAudioEncoder: AudioEncoder {
    let session: OnnxSession
    let input: TensorDescription
    let output: TensorDescription
    var runtime: RuntimeDescription { session.runtime }

    init(_ model: ModelFile, library: OnnxRuntimeLibrary, threads: Int) throws {
        session = try OnnxSession(model, library: library, threads: threads)
        let description = model.description
        input = try ModelBinding.tensor(
            "mel input", like: [nil, 1, 80, 16], among: session.inputs, declared: description.inputs, of: description)
        output = try ModelBinding.tensor(
            "features", like: [nil, 512], among: session.outputs, declared: description.outputs, of: description)
    }

    func encode(_ windows: [Float], count: Int) async throws -> [Float] {
        precondition(windows.count == count * 80 * 16, "\(count) windows of 80×16 values")
        if input.shape[0] == .batch {
            return try await run(windows, count: count)
        }
        var rows: [Float] = []
        for window in 0..<count {  // a model with a fixed batch of one
            rows += try await run(Array(windows[window * 1280..<(window + 1) * 1280]), count: 1)
        }
        return rows
    }

    private func run(_ windows: [Float], count: Int) async throws -> [Float] {
        try await session.run(
            [Tensor(input.name, [count, 1, 80, 16], windows)], outputs: [TensorSlot(output.name, [count, 512])]
        ).first?.floats ?? []
    }
}

/// A generator on ONNX Runtime.
private struct OnnxGenerator: Generator {
    let session: OnnxSession
    let image: TensorDescription
    let audio: TensorDescription
    let output: TensorDescription
    let imageSize: Int
    var runtime: RuntimeDescription { session.runtime }

    init(_ model: ModelFile, library: OnnxRuntimeLibrary, threads: Int) throws {
        session = try OnnxSession(model, library: library, threads: threads)
        let description = model.description
        image = try ModelBinding.tensor(
            "image input", like: [nil, 6, nil, nil], among: session.inputs, declared: description.inputs,
            of: description)
        audio = try ModelBinding.tensor(
            "audio input", like: [nil, 32, 16, 16], among: session.inputs, declared: description.inputs, of: description
        )
        guard case .fixed(let side) = image.shape[2], image.shape[3] == .fixed(side), (16...2048).contains(side) else {
            throw VisemeError(
                .badData, "Generator '\(description.file)' wants images \(image.shapeText), expected squares.")
        }
        imageSize = side
        output = try ModelBinding.tensor(
            "mouth", like: [nil, 3, side, side], among: session.outputs, declared: description.outputs, of: description)
    }

    func generate(image pixels: [Float], audio window: [Float]) async throws -> [Float] {
        try await session.run(
            [
                Tensor(image.name, [1, 6, imageSize, imageSize], pixels),
                Tensor(audio.name, [1, 32, 16, 16], window),
            ],
            outputs: [TensorSlot(output.name, [1, 3, imageSize, imageSize])]
        ).first?.floats ?? []
    }
}
