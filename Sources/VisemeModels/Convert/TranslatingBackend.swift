import Foundation
public import Viseme

/// Runs Core ML packages with a backend that reads ONNX: translated in memory, so that the very package which ships to a
/// phone is proved on Linux. Other models go to the backend as they are.
public struct TranslatingBackend: InferenceBackend {
    /// The backend's own name.
    public var name: String { backend.name }
    private let backend: any InferenceBackend

    /// Wraps a backend that reads ONNX files.
    public init(_ backend: any InferenceBackend) { self.backend = backend }

    /// The stack that the program uses: packages translated, generators in parts.
    public init(splitting backend: any InferenceBackend & GraphLoader) { self.init(SplittingBackend(backend)) }

    /// Loads an audio encoder.
    @concurrent public func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
        guard let translated = try translate(model) else {
            return try await backend.audioEncoder(model, threads: threads)
        }
        return TranslatedAudioEncoder(encoder: try await backend.audioEncoder(translated, threads: threads))
    }

    /// Loads an articulator.
    @concurrent public func articulator(_ model: ModelFile, threads: Int) async throws -> any Articulator {
        guard let translated = try translate(model) else {
            return try await backend.articulator(model, threads: threads)
        }
        return TranslatedArticulator(articulator: try await backend.articulator(translated, threads: threads))
    }

    /// Loads a generator.
    @concurrent public func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
        guard let translated = try translate(model) else { return try await backend.generator(model, threads: threads) }
        return TranslatedGenerator(generator: try await backend.generator(translated, threads: threads))
    }

    /// Loads generators that may keep what they compute from the template frames alone. They are translated once.
    @concurrent public func generators(
        _ model: ModelFile, count: Int, threads: Int, template: TemplateBudget
    ) async throws -> [any Generator] {
        let translated = try translate(model)
        let generators = try await backend.generators(
            translated ?? model, count: count, threads: threads, template: template)
        return translated == nil ? generators : generators.map { TranslatedGenerator(generator: $0) }
    }

    /// The package as an ONNX model with the names and shapes that the manifest states; nil for other files.
    private func translate(_ model: ModelFile) throws -> ModelFile? {
        guard model.url.pathExtension == "mlpackage" else { return nil }
        try model.verify()
        var graph = try OpenedModel(at: model.url).network().graph
        // The networks keep the batch apart: a package's batch of one becomes any number.
        for i in graph.inputs.indices { graph.inputs[i].shape[0] = .batch }
        for i in graph.outputs.indices { graph.outputs[i].shape[0] = .batch }
        return model.holding(try ONNXWriter.data(graph), as: model.description.withOpenBatch)
    }
}

extension ModelDescription {
    /// The same description with the first axis of every tensor left open.
    var withOpenBatch: ModelDescription {
        var description = self
        for i in description.inputs.indices where !description.inputs[i].shape.isEmpty {
            description.inputs[i].shape[0] = .batch
        }
        for i in description.outputs.indices where !description.outputs[i].shape.isEmpty {
            description.outputs[i].shape[0] = .batch
        }
        return description
    }
}

extension RuntimeDescription {
    fileprivate var translated: RuntimeDescription {
        var description = self
        description.runtime = "Core ML package, translated, run by \(runtime)"
        return description
    }
}

private struct TranslatedAudioEncoder: AudioEncoder {
    let encoder: any AudioEncoder
    var runtime: RuntimeDescription { encoder.runtime.translated }
    func encode(_ melWindows: [Float], count: Int) async throws -> [Float] {
        try await encoder.encode(melWindows, count: count)
    }
}

private struct TranslatedArticulator: Articulator {
    let articulator: any Articulator
    var runtime: RuntimeDescription { articulator.runtime.translated }
    func articulate(_ featureWindow: [Float]) async throws -> [Float] {
        try await articulator.articulate(featureWindow)
    }
}

private struct TranslatedGenerator: Generator {
    let generator: any Generator
    var runtime: RuntimeDescription { generator.runtime.translated }
    var imageSize: PixelSize { generator.imageSize }
    var keeping: TemplateKeeping { generator.keeping }

    func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures {
        try await generator.prepare(image, kept: kept)
    }

    func generate(_ features: TemplateFeatures, audio: [Float]) async throws -> [Float] {
        try await generator.generate(features, audio: audio)
    }

    func generate(image: [Float], audio: [Float]) async throws -> [Float] {
        try await generator.generate(image: image, audio: audio)
    }
}
