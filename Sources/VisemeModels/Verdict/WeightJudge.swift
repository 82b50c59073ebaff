import Foundation
public import Viseme

/// Judges models of every format that a backend loads: ONNX files, Core ML packages.
public struct WeightJudge: ModelJudge {
    /// Makes a judge.
    public init() {}

    /// The verdict; `initialShape` is not told from `trained`, since an engine accepts both.
    ///
    /// - Throws: `.noInput` or `.badData` when the file is absent, damaged or not the one that the manifest describes;
    ///   `.unsupported` when its weights cannot be read.
    @concurrent public func verdict(on model: ModelFile) async throws -> TrainingVerdict {
        TrainingVerdict(layers: try layers(of: model), looksAtShape: false)
    }

    private func layers(of model: ModelFile) throws -> [LayerWeights] {
        switch model.url.pathExtension {
        case "mlpackage":
            try model.verify()
            return try OpenedModel(at: model.url).layers
        case "mlmodelc":
            throw VisemeError(
                .unsupported, "'\(model.description.file)' is compiled: whether it was trained cannot be read from it.",
                hint: "Put the .mlpackage into the pack that it was compiled from.")
        default:
            let name = model.description.file
            let file = try ONNXReader.model(model.read(), name: name)
            do {
                return LayerWeights.layers(of: try ONNXReader.graph(file).withoutGrids())
            } catch let error as VisemeError where error.code == .unsupported {
                return try LayerWeights.layers(of: file)
            }
        }
    }
}
