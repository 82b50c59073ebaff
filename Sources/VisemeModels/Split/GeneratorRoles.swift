import Viseme

/// Which tensors of a graph are a generator's image, audio and mouth.
struct GeneratorRoles {
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
