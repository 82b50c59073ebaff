import Viseme

/// The audio encoder of the contract, §3: thirteen convolutions, (B, 1, 80, 16) → (B, 512).
enum AudioEncoderArchitecture {
    /// in, out, kernel, stride in mel and time, padding, residual.
    static let layers: [(cin: Int, cout: Int, kernel: Int, strides: [Int], padding: Int, residual: Bool)] = [
        (1, 32, 3, [1, 1], 1, false), (32, 32, 3, [1, 1], 1, true), (32, 32, 3, [1, 1], 1, true),
        (32, 64, 3, [3, 1], 1, false), (64, 64, 3, [1, 1], 1, true), (64, 64, 3, [1, 1], 1, true),
        (64, 128, 3, [3, 3], 1, false), (128, 128, 3, [1, 1], 1, true), (128, 128, 3, [1, 1], 1, true),
        (128, 256, 3, [3, 2], 1, false), (256, 256, 3, [1, 1], 1, true),
        (256, 512, 3, [1, 1], 0, false), (512, 512, 1, [1, 1], 0, false),
    ]
    static let prefix = "audio_encoder."
    private static let contract = GeneratorFamily.syncTalk2D.audioEncoder

    /// Whether these names are an audio encoder's, in either spelling.
    static func matches(_ state: StateDict) -> Bool {
        [prefix + "0.conv_block.0.weight", "0.conv_block.0.weight"].contains { state[$0] != nil }
    }

    /// The tensors without the name of the module that held the encoder.
    static func renamed(_ state: StateDict) throws -> StateDict {
        guard state.tensors.allSatisfy({ $0.name.hasPrefix(prefix) }) else { return state }
        return try StateDict(
            state.tensors.map { tensor in
                var tensor = tensor
                tensor.name.removeFirst(prefix.count)
                return tensor
            }, remarks: state.remarks)
    }

    /// The network with batch normalisation as trained.
    ///
    /// - Throws: `.badData` listing every tensor that is missing, misshapen, not finite or left over.
    static func graph(_ network: inout NetworkBuilder) throws -> ModelGraph {
        var x = contract[.mel].name
        for (i, layer) in layers.enumerated() {
            let convolution = Convolution(strides: layer.strides, padding: Array(repeating: layer.padding, count: 4))
            var y = network.convolution(
                "\(i).conv_block.0", x, from: layer.cin, to: layer.cout, kernel: layer.kernel, convolution,
                hasBias: true)
            y = network.batchNormalisation("\(i).conv_block.1", y, channels: layer.cout)
            if layer.residual { y = network.add(.add, "\(i).add", [y, x]) }
            x = network.relu("\(i)", y)
        }
        let weights = try network.ledger.settled("the audio encoder of this family")
        var nodes = network.nodes
        let features = contract[.features]
        let width = GeneratorFamily.syncTalk2D.featureWindow.rowWidth
        nodes.append(.init(.reshape([width]), name: features.name, inputs: [x], output: features.name))
        return ModelGraph(
            inputs: contract.inputs.map { $0.description() }, outputs: contract.outputs.map { $0.description() },
            nodes: nodes, weights: weights)
    }
}
