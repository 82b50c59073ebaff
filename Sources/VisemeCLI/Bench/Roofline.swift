import Foundation
import Viseme
import VisemeModels
import VisemeONNX

/// What the machine can multiply at best, measured in the same run: how close a generator comes to the limit.
struct Roofline: Encodable {
    /// Cores that work together.
    var cores: Int
    /// 10⁹ multiplications and additions a second in a matrix product (a 1×1 convolution, 512 → 512 channels, 64×64) in
    /// Float32 in ONNX Runtime.
    var peakGFLOPS: Double
    /// 10⁹ multiplications and additions of the generator for one frame.
    var generatorGFLOP: Double?
    /// What a frame's generator would take at the peak.
    var generatorMillisecondsAtPeak: Double?

    init(of avatar: Avatar, cores: Int, engine: EngineOptions) async throws {
        self.cores = cores
        let (channels, side) = (512, 64)
        let weight = StoredTensor(
            name: "w", shape: [channels, channels, 1, 1],
            floats: [Float](repeating: 0.01, count: channels * channels))
        func tensor(_ name: String) -> TensorDescription {
            TensorDescription(name: name, shape: [1, channels, side, side].map { .fixed($0) })
        }
        let graph = ModelGraph(
            inputs: [tensor("x")], outputs: [tensor("y")],
            nodes: [
                ModelGraph.Node(.convolution(Convolution()), name: "product", inputs: ["x", "w"], output: "y")
            ], weights: ["w": weight])
        let loaded = try await ONNXBackend(libraryPath: engine.onnxruntime).graph(
            ONNXWriter.data(graph), name: "matrix product", threads: cores, optimised: true)
        let x = Tensor("x", [1, channels, side, side], [Float](repeating: 0.5, count: channels * side * side))
        var best = Double.infinity
        for _ in 0..<20 {
            let start = ContinuousClock.now
            _ = try await loaded.run([x], outputs: [TensorSlot("y", [1, channels, side, side])])
            best = min(best, (ContinuousClock.now - start) / .seconds(1))
        }
        peakGFLOPS = 2 * Double(try graph.multiplications()) / best / 1e9
        let model = try avatar.model(.generator)
        // A Core ML package, or operations that Viseme does not read: then there is no such figure.
        if let network = try? ONNXReader.graph(model.read(), name: model.description.file) {
            generatorGFLOP = 2 * Double(try network.multiplications()) / 1e9
            generatorMillisecondsAtPeak = (generatorGFLOP ?? 0) / peakGFLOPS * 1000
        }
    }
}
