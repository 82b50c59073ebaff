import Viseme

/// A generator cut where the audio enters.
///
/// ```
/// image ──► shallow ──► fresh tensors ─┐
///              │ bridge                ├──► rest ──► mouth
///              └──► deep ──► kept ─────┘
///                             audio ───┘
/// ```
/// The *template tensors* (the skips and the bottleneck of a U-Net) depend on the image alone. They pass the cut as Float16, or
/// as points of their grid where the network is in int8, kept or not: so what is kept cannot change a pixel.
/// `docs/decisions/0009-compute-template-features-once.md` says which are kept.
struct GeneratorSplit: Sendable {
    /// Image → fresh tensors and bridge; nil when every template tensor is kept.
    let shallow: ModelGraph?
    /// Bridge, or image → kept tensors.
    let deep: ModelGraph
    /// Template tensors and audio → mouth.
    let rest: ModelGraph
    /// Template tensors that are computed for every frame, in the order in which the network makes them.
    let fresh: [String]
    /// Template tensors that are kept: those after the fresh ones.
    let kept: [String]
    /// Tensors of the shallow part that the deep part begins with, as Float32 or points; empty: it begins with the image.
    let bridge: [String]
    /// Bytes of the kept tensors.
    let keptBytes: Int
    /// Template frames whose tensors are kept.
    let keptFrames: Int

    /// Cuts a generator so that the budget saves the most work.
    ///
    /// - Returns: Nil when nothing can be kept: the audio enters at the image itself, or the budget holds no tensor.
    init?(_ graph: ModelGraph, image: String, audio: String, budget: TemplateBudget) throws {
        let template = try Self.templateTensors(of: graph, image: image, audio: audio)
        try self.init(graph, template: template, image: image, audio: audio, budget: budget)
    }

    /// Cuts a generator at given template tensors.
    ///
    /// - Parameter graph: All of it, or what is before the cut: then `rest` is empty.
    init?(
        _ graph: ModelGraph, template: [String], image: String, audio: String, budget: TemplateBudget
    ) throws {
        let shapes = try graph.shapes()
        guard !template.isEmpty else { return nil }
        func bytes(_ names: ArraySlice<String>) -> Int {
            names.reduce(0) { $0 + graph.passed($1, shape: shapes[$1] ?? []).byteCount }
        }
        // Deep tensors cost the most work a byte: what is left out is left out from the front.
        var best: (saved: Int, first: Int, frames: Int)?
        for first in template.indices {
            let frames = min(budget.frames, budget.bytes / max(1, bytes(template[first...])))
            let cost = try graph.cost(
                of: Set(template[first...]), without: Set(template[..<first]), shapes: shapes)
            let saved = cost / max(1, budget.frames) * frames
            if frames > 0, saved > best?.saved ?? 0 { best = (saved, first, frames) }
        }
        guard let best else { return nil }
        let leading = Array(template[..<best.first])
        fresh = leading
        kept = Array(template[best.first...])
        keptBytes = bytes(template[best.first...])
        keptFrames = best.frames
        let shallowTensors = graph.ancestors(of: Set(leading))
        let deepTensors = graph.ancestors(
            of: Set(kept), stoppingAt: shallowTensors.intersection(graph.nodes.map(\.output)))
        let bridge = graph.nodes.map(\.output).filter { shallowTensors.contains($0) && deepTensors.contains($0) }
        self.bridge = bridge
        let needsImage = deepTensors.contains(image)
        // As Float32 only the bridge leaves its part, and of that only what has no grid.
        var above = graph.part(from: [image], to: leading + bridge.filter { !leading.contains($0) }, shapes: shapes)
        above.outputs = above.outputs.filter { bridge.contains($0.name) && graph.grids[$0.name] == nil }
        shallow = leading.isEmpty ? nil : above
        var below = graph.part(from: bridge + (needsImage ? [image] : []), to: kept, shapes: shapes)
        below.outputs = []
        deep = below
        rest = graph.part(from: template + [audio], to: graph.outputs.map(\.name), shapes: shapes)
    }

    /// What depends on the image alone and is read where the audio counts, in the order in which the network makes it.
    static func templateTensors(of graph: ModelGraph, image: String, audio: String) throws -> [String] {
        let heard = graph.dependants(of: [audio])
        let seen = graph.dependants(of: [image]).subtracting(heard)
        let read = Set(graph.nodes.filter { heard.contains($0.output) }.flatMap(\.inputs)).intersection(seen)
        // Where the audio meets the image itself there is nothing before it to keep.
        return read.contains(image) ? [] : graph.nodes.map(\.output).filter(read.contains)
    }
}
