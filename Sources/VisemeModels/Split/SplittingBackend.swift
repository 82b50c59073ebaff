public import Viseme

/// Splits generators where the audio enters, so that what depends on a template frame alone is done once.
///
/// A file that is no network of operations that Viseme reads goes to the backend as it is, and runs as a whole; its
/// `keeping` says so.
public struct SplittingBackend: InferenceBackend {
    /// The backend's own name.
    public var name: String { backend.name }
    private let backend: any InferenceBackend & GraphLoader
    /// 16 channels of 320×320 in Float32: a slice then stays in the cache, and a lane's memory halves.
    private static let sliceBytes = 7_000_000

    /// Wraps a backend that reads ONNX files.
    public init(_ backend: any InferenceBackend & GraphLoader) { self.backend = backend }

    /// Loads an audio encoder.
    public func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
        try await backend.audioEncoder(model, threads: threads)
    }

    /// Loads a generator that runs as a whole.
    public func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
        try await backend.generator(model, threads: threads)
    }

    /// Loads a generator in parts.
    public func generator(_ model: ModelFile, threads: Int, template: TemplateBudget) async throws -> any Generator {
        func whole(_ reason: String) async throws -> any Generator {
            WholeGenerator(generator: try await backend.generator(model, threads: threads), reason: reason)
        }
        let graph: ModelGraph
        do {
            graph = try ONNXReader.graph(model.read(), name: model.description.file)
        } catch let error as VisemeError where error.code == .unsupported {
            return try await whole("It runs as a whole: \(error.message)")
        }
        // What does not fit the manifest is the backend's to refuse, in its own words.
        guard let roles = Roles(graph, of: model.description) else {
            return try await whole("It runs as a whole: its inputs and outputs are not those of a generator.")
        }
        let suited = try graph.withChannels(multipleOf: 16).withSlices(ofAtMost: Self.sliceBytes)
        guard let split = try GeneratorSplit(suited, image: roles.image, audio: roles.audio, budget: template) else {
            return try await whole(
                "It runs as a whole: \(template.bytes / 1_000_000) MB hold no template tensor of it.")
        }
        return try await SplitGenerator(split, suited, roles, of: model.description, loader: backend, threads: threads)
    }
}

/// Which tensor is which.
private struct Roles {
    let image, audio, mouth: String
    let imageSize: Int

    /// Nil when the graph is not exactly what the manifest says of a generator.
    init?(_ graph: ModelGraph, of model: ModelDescription) {
        func shape(_ tensor: TensorDescription) -> [Int] {
            tensor.shape.map { axis in if case .fixed(let length) = axis { length } else { 1 } }
        }
        func isDeclared(_ tensor: TensorDescription, _ declared: [TensorDescription]) -> Bool {
            declared.contains { $0.name == tensor.name && shape($0) == shape(tensor) }
        }
        guard graph.inputs.count == 2, graph.outputs.count == 1,
            let image = graph.inputs.first(where: { shape($0).count == 4 && shape($0)[1] == 6 }),
            let audio = graph.inputs.first(where: { shape($0) == [1, 32, 16, 16] }), image.name != audio.name,
            shape(image)[2] == shape(image)[3], shape(graph.outputs[0]) == [1, 3] + shape(image)[2...],
            isDeclared(image, model.inputs), isDeclared(audio, model.inputs),
            isDeclared(graph.outputs[0], model.outputs)
        else { return nil }
        (self.image, self.audio, mouth) = (image.name, audio.name, graph.outputs[0].name)
        imageSize = shape(image)[2]
    }
}

/// A generator that runs as a whole although it was to be split.
private struct WholeGenerator: Generator {
    let generator: any Generator
    let reason: String
    var runtime: RuntimeDescription { generator.runtime }
    var imageSize: Int { generator.imageSize }
    var keeping: TemplateKeeping { .nothing(because: reason) }

    func generate(image: [Float], audio: [Float]) async throws -> [Float] {
        try await generator.generate(image: image, audio: audio)
    }
}

/// A generator in parts.
private struct SplitGenerator: Generator {
    let imageSize: Int
    let keeping: TemplateKeeping
    let runtime: RuntimeDescription
    private let shallow: (any LoadedGraph)?
    private let deep: any LoadedGraph
    private let rest: any LoadedGraph
    private let image, audio: TensorSlot
    private let mouth: TensorSlot
    /// As the parts make them, and as the rest reads them: halves or points.
    private let fresh, kept: [TensorSlot]
    private let bridge: [TensorSlot]
    private let deepReadsImage: Bool

    init(
        _ split: GeneratorSplit, _ graph: ModelGraph, _ roles: Roles, of model: ModelDescription,
        loader: any GraphLoader, threads: Int
    ) async throws {
        let grids = graph.grids
        let gridded = split.bridge.filter { grids[$0] != nil }
        func load(_ part: ModelGraph, _ name: String, passing: [String]) async throws -> any LoadedGraph {
            try await loader.graph(
                ONNXWriter.data(part, passing: Set(passing)), name: "\(model.file), \(name) part", threads: threads,
                optimised: true)
        }
        if let part = split.shallow {
            shallow = try await load(part, "shallow", passing: split.fresh + gridded)
        } else {
            shallow = nil
        }
        deep = try await load(split.deep, "deep", passing: split.kept + gridded)
        rest = try await load(split.rest, "audio", passing: split.fresh + split.kept)
        runtime = rest.runtime
        imageSize = roles.imageSize
        keeping = TemplateKeeping(tensors: split.kept, bytesPerFrame: split.keptBytes, frames: split.keptFrames)
        let shapes = try graph.shapes()
        func slot(_ name: String) -> TensorSlot { TensorSlot(name, shapes[name] ?? []) }
        func passed(_ name: String) -> TensorSlot { graph.passed(name, shape: shapes[name] ?? []) }
        (image, audio, mouth) = (slot(roles.image), slot(roles.audio), slot(roles.mouth))
        (fresh, kept) = (split.fresh.map(passed), split.kept.map(passed))
        bridge = split.bridge.map { grids[$0] == nil ? slot($0) : passed($0) }
        deepReadsImage = split.deep.inputs.contains { $0.name == roles.image }
    }

    func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures {
        if let kept, shallow == nil { return TemplateFeatures(fresh: [], kept: kept) }
        let image = Tensor(self.image.name, self.image.shape, try image())
        // What has a grid crosses both ways in the same form: it is fetched once.
        let wanted = self.fresh + (kept == nil ? bridge.filter { !self.fresh.contains($0) } : [])
        let made = try await shallow?.run([image], outputs: wanted) ?? []
        let fresh = Array(made.prefix(self.fresh.count))
        if let kept { return TemplateFeatures(fresh: fresh, kept: kept) }
        let source = bridge.compactMap { slot in made.first { $0.slot == slot } } + (deepReadsImage ? [image] : [])
        return TemplateFeatures(fresh: fresh, kept: try await deep.run(source, outputs: self.kept))
    }

    func generate(_ features: TemplateFeatures, audio window: [Float]) async throws -> [Float] {
        let sound = Tensor(audio.name, audio.shape, window)
        let made = try await rest.run(features.fresh + features.kept + [sound], outputs: [mouth])
        return made.first?.floats ?? []
    }

    func generate(image: [Float], audio: [Float]) async throws -> [Float] {
        try await generate(prepare({ image }, kept: nil), audio: audio)
    }
}
