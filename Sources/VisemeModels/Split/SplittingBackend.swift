public import Viseme

/// Splits generators where the audio enters, so that what depends on a template frame alone is done once.
///
/// A file with operations that Viseme does not read, or one that copies planes of the image, is cut node by node: only what comes
/// before the audio must be known. Where it is not, the file goes to the backend as it is, and runs as a whole; its `keeping` says so.
public struct SplittingBackend: InferenceBackend {
    /// The backend's own name.
    public var name: String { backend.name }
    private let backend: any InferenceBackend & GraphLoader

    /// Wraps a backend that reads ONNX files.
    public init(_ backend: any InferenceBackend & GraphLoader) { self.backend = backend }

    /// Loads an audio encoder.
    @concurrent public func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
        try await backend.audioEncoder(model, threads: threads)
    }

    /// Loads an articulator.
    @concurrent public func articulator(_ model: ModelFile, threads: Int) async throws -> any Articulator {
        try await backend.articulator(model, threads: threads)
    }

    /// Loads a generator that runs as a whole.
    @concurrent public func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
        try await backend.generator(model, threads: threads)
    }

    /// Loads generators in parts. The file is read, checked, cut and loaded once.
    @concurrent public func generators(
        _ model: ModelFile, count: Int, threads: Int, template: TemplateBudget
    ) async throws -> [any Generator] {
        let data = try model.read()
        let backend = backend
        func whole(_ reason: String) async throws -> [any Generator] {
            let file = model.holding(data)
            return try await concurrently(count) {
                WholeGenerator(generator: try await backend.generator(file, threads: threads), reason: reason)
            }
        }
        func split(_ parts: SplitParts?) async throws -> [any Generator] {
            guard let parts else {
                return try await whole(
                    "It runs as a whole: a template tensor does not fit \(template.bytes / 1_000_000) MB.")
            }
            return try await SplitGenerator.lanes(count, of: parts, loader: backend, threads: threads)
        }
        var graph: ModelGraph?
        do {
            graph = try ONNXReader.graph(data, name: model.description.file)
        } catch let error as VisemeError where error.code == .unsupported {
            // Its operations need not be known.
        }
        // Points of a grid pass the cut of a graph alone.
        guard let graph, !graph.copiesPlanes || !graph.grids.isEmpty else {
            let parts: SplitParts?
            do {
                parts = try SplitParts(copying: data, model: model, budget: template)
            } catch let error as VisemeError {
                return try await whole("It runs as a whole: \(error.message)")
            }
            return try await split(parts)
        }
        // What does not fit the manifest is the backend's to refuse, in its own words.
        guard let roles = GeneratorRoles(graph, of: model.description, model.family.generator) else {
            return try await whole("It runs as a whole: its inputs and outputs are not those of a generator.")
        }
        return try await split(SplitParts(of: graph, roles, model: model.description, budget: template))
    }
}
