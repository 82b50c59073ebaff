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

    /// Loads the parts once for all lanes.
    static func lanes(
        _ count: Int, of parts: SplitParts, loader: any GraphLoader, threads: Int
    ) async throws -> [SplitGenerator] {
        @Sendable func load(_ part: SplitParts.Part) async throws -> [any LoadedGraph] {
            try await loader.graphs(count, of: part.data, name: part.name, threads: threads)
        }
        async let deep = load(parts.deep)
        async let rest = load(parts.rest)
        let shallow = if let part = parts.shallow { try await load(part) } else { [] as [any LoadedGraph] }
        let known = parts.loaded
        return try await zip(deep, rest).enumerated().map { lane, loaded in
            SplitGenerator(
                known, shallow: shallow.isEmpty ? nil : shallow[lane], deep: loaded.0, rest: loaded.1)
        }
    }

    private init(
        _ parts: SplitParts, shallow: (any LoadedGraph)?, deep: any LoadedGraph, rest: any LoadedGraph
    ) {
        (self.parts, self.shallow, self.deep, self.rest) = (parts, shallow, deep, rest)
        runtime = rest.runtime
    }

    func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures {
        if let kept, shallow == nil, !parts.restReadsImage { return TemplateFeatures(fresh: [], kept: kept) }
        let image = Tensor(parts.image.name, parts.image.shape, try image())
        let direct = parts.restReadsImage ? [image] : []
        if let kept, shallow == nil { return TemplateFeatures(fresh: direct, kept: kept) }
        // What has a grid crosses both ways in the same form: it is fetched once.
        let wanted = parts.fresh + (kept == nil ? parts.bridge.filter { !parts.fresh.contains($0) } : [])
        let made = try await shallow?.run([image], outputs: wanted) ?? []
        let fresh = direct + made.prefix(parts.fresh.count)
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
