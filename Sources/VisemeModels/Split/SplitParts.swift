import Foundation
import Viseme

/// The parts of a generator as ONNX files, with the tensors that pass between them: made once, loaded by every lane.
struct SplitParts: Sendable {
    /// 16 channels of 320×320 in Float32: a slice then stays in the cache, and a lane's memory halves.
    private static let sliceBytes = 7_000_000

    /// A part as a file.
    struct Part: Sendable {
        let name: String
        var data: Data
    }

    let imageSize: PixelSize
    let keeping: TemplateKeeping
    var shallow: Part?
    var deep, rest: Part
    let image, audio, mouth: TensorSlot
    /// As the parts make them, and as the rest reads them: halves or points.
    let fresh, kept: [TensorSlot]
    let bridge: [TensorSlot]
    let deepReadsImage: Bool
    /// Whether the rest reads planes of the image beside the template tensors.
    let restReadsImage: Bool

    /// Suits a generator to the processor and cuts it.
    ///
    /// - Returns: Nil when nothing can be kept.
    init?(of whole: ModelGraph, _ roles: GeneratorRoles, model: ModelDescription, budget: TemplateBudget) throws {
        let graph = try whole.withChannels(multipleOf: 16).withSlices(ofAtMost: Self.sliceBytes)
        guard let split = try GeneratorSplit(graph, image: roles.image, audio: roles.audio, budget: budget) else {
            return nil
        }
        let grids = graph.grids
        let gridded = split.bridge.filter { grids[$0] != nil }
        func file(_ part: ModelGraph, _ name: String, passing: [String]) throws -> Part {
            Part(name: "\(model.file), \(name) part", data: try ONNXWriter.data(part, passing: Set(passing)))
        }
        shallow = try split.shallow.map { try file($0, "shallow", passing: split.fresh + gridded) }
        deep = try file(split.deep, "deep", passing: split.kept + gridded)
        rest = try file(split.rest, "audio", passing: split.fresh + split.kept)
        imageSize = roles.imageSize
        keeping = TemplateKeeping(tensors: split.kept, bytesPerFrame: split.keptBytes, frames: split.keptFrames)
        let shapes = try graph.shapes()
        func slot(_ name: String) -> TensorSlot { TensorSlot(name, shapes[name] ?? []) }
        func passed(_ name: String) -> TensorSlot { graph.passed(name, shape: shapes[name] ?? []) }
        (image, audio, mouth) = (slot(roles.image), slot(roles.audio), slot(roles.mouth))
        (fresh, kept) = (split.fresh.map(passed), split.kept.map(passed))
        bridge = split.bridge.map { grids[$0] == nil ? slot($0) : passed($0) }
        deepReadsImage = split.deep.inputs.contains { $0.name == roles.image }
        restReadsImage = false
    }

    /// What is known of the parts, without the files: a backend has loaded them.
    var loaded: SplitParts {
        var parts = self
        parts.shallow?.data = Data()
        (parts.deep.data, parts.rest.data) = (Data(), Data())
        return parts
    }
}
