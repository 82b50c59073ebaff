import Viseme

/// A generator in parts: one lane.
struct SplitGenerator: Generator {
    let runtime: RuntimeDescription
    private let parts: SplitParts
    private let shallow: (any LoadedGraph)?
    private let deep: any LoadedGraph
    private let rest: any LoadedGraph

    var imageSize: PixelSize { parts.imageSize }
    var keeping: TemplateKeeping { parts.keeping }

    init(_ parts: SplitParts, loader: any GraphLoader, threads: Int) async throws {
        func load(_ part: SplitParts.Part) async throws -> any LoadedGraph {
            try await loader.graph(part.data, name: part.name, threads: threads, optimised: true)
        }
        self.parts = parts
        if let part = parts.shallow { shallow = try await load(part) } else { shallow = nil }
        deep = try await load(parts.deep)
        rest = try await load(parts.rest)
        runtime = rest.runtime
    }

    func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures {
        if let kept, shallow == nil { return TemplateFeatures(fresh: [], kept: kept) }
        let image = Tensor(parts.image.name, parts.image.shape, try image())
        // What has a grid crosses both ways in the same form: it is fetched once.
        let wanted = parts.fresh + (kept == nil ? parts.bridge.filter { !parts.fresh.contains($0) } : [])
        let made = try await shallow?.run([image], outputs: wanted) ?? []
        let fresh = Array(made.prefix(parts.fresh.count))
        if let kept { return TemplateFeatures(fresh: fresh, kept: kept) }
        let source =
            parts.bridge.compactMap { slot in made.first { $0.slot == slot } } + (parts.deepReadsImage ? [image] : [])
        return TemplateFeatures(fresh: fresh, kept: try await deep.run(source, outputs: parts.kept))
    }

    func generate(_ features: TemplateFeatures, audio featureWindow: [Float]) async throws -> [Float] {
        let sound = Tensor(parts.audio.name, parts.audio.shape, featureWindow)
        let made = try await rest.run(features.fresh + features.kept + [sound], outputs: [parts.mouth])
        return made.first?.floats ?? []
    }

    func generate(image: [Float], audio: [Float]) async throws -> [Float] {
        try await generate(prepare({ image }, kept: nil), audio: audio)
    }
}
