import Viseme

/// Which tensors of a graph are a generator's image, audio and mouth.
struct GeneratorRoles {
    let image, audio, mouth: String
    let imageSize: Int

    /// Nil when the graph is not exactly what the manifest says of a generator with these three.
    init?(_ graph: ModelGraph, of model: ModelDescription, _ contract: TensorContract) {
        guard graph.inputs.count == contract.inputs.count, graph.outputs.count == contract.outputs.count,
            Set(contract.inputs.map(\.role)) == [.image, .audio], contract.outputs.map(\.role) == [.mouth],
            // Why it does not fit is the backend's to say.
            let tensors = try? TensorBinding(
                contract, inputs: graph.inputs, outputs: graph.outputs, of: model.withOpenBatch),
            let side = tensors.side
        else { return nil }
        (image, audio, mouth) = (tensors[.image].name, tensors[.audio].name, tensors[.mouth].name)
        imageSize = side
    }
}
