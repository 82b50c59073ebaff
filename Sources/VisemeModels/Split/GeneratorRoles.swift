import Viseme

/// Which tensors of a graph are a generator's image, audio and mouth.
struct GeneratorRoles {
    let image, audio, mouth: String
    let imageSize: PixelSize
    let tensors: TensorBinding

    /// Nil when the graph is not exactly what the manifest says of a generator with these three.
    init?(_ graph: ModelGraph, of model: ModelDescription, _ contract: TensorContract) {
        self.init(inputs: graph.inputs, outputs: graph.outputs, of: model, contract)
    }

    /// Of a file whose operations need not be known.
    init?(
        inputs: [TensorDescription], outputs: [TensorDescription], of model: ModelDescription,
        _ contract: TensorContract
    ) {
        guard inputs.count == contract.inputs.count, outputs.count == contract.outputs.count,
            Set(contract.inputs.map(\.role)) == [.image, .audio], contract.outputs.map(\.role) == [.mouth],
            // Why it does not fit is the backend's to say.
            let tensors = try? TensorBinding(
                contract, inputs: inputs, outputs: outputs, of: model.withOpenBatch),
            let picture = tensors.picture
        else { return nil }
        (image, audio, mouth) = (tensors[.image].name, tensors[.audio].name, tensors[.mouth].name)
        imageSize = picture
        self.tensors = tensors
    }
}
