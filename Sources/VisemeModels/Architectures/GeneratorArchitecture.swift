import Viseme

/// The generator of the contract, §3: a U-Net of inverted residuals with an audio branch at its bottleneck.
public struct GeneratorArchitecture: Sendable, Equatable {
    /// What the audio branch reads.
    public enum Audio: String, Sendable, Codable, CaseIterable {
        /// 16 rows of the audio encoder: (B, 32, 16, 16).
        case ave
        /// HuBERT features: (B, 32, 32, 32). Its tensors have the shapes of `ave`: the file cannot tell.
        case hubert
        /// WeNet features: (B, 256, 16, 32).
        case wenet

        /// The axes after the batch.
        public var shape: [Int] {
            switch self {
            case .ave: GeneratorFamily.syncTalk2D.generator[.audio].description().shape.dropFirst().map(\.length)
            case .hubert: [32, 32, 32]
            case .wenet: [256, 16, 32]
            }
        }
    }

    /// Channels c0 … c4: 32 … 512 in the full model, 16 … 256 in the mobile one.
    public var channels: [Int]
    /// What the audio branch reads.
    public var audio: Audio
    /// Side of the image: 320, or 160 for legacy models, which have one level less.
    public var imageSize: Int

    /// "full", "mobile", or the channels.
    public var widthName: String {
        switch channels {
        case [32, 64, 128, 256, 512]: "full"
        case [16, 32, 64, 128, 256]: "mobile"
        default: channels.map(String.init).joined(separator: ",")
        }
    }

    static func matches(_ state: StateDict) -> Bool { state["inc.inconv.0.conv.0.weight"] != nil }

    /// Names an architecture.
    init(channels: [Int], audio: Audio, imageSize: Int) {
        self.channels = channels
        self.audio = audio
        self.imageSize = imageSize
    }

    /// The architecture whose tensors these are.
    ///
    /// - Parameter audio: What the audio branch reads; nil for `ave` or `wenet`, as the shapes say.
    /// - Throws: `.badData` when the widths cannot be read.
    init(of state: StateDict, audio: Audio? = nil) throws {
        let levels = state["down5.maxpool_conv.0.double_conv.0.conv.6.weight"] == nil ? 4 : 5
        let names =
            ["inc.inconv.0.conv.6"]
            + (levels == 5 ? 2...5 : 1...4).map { "down\($0).maxpool_conv.0.double_conv.0.conv.6" }
        channels = try names.map { name in
            guard let width = state[name + ".weight"]?.shape.first, (1...4096).contains(width) else {
                throw VisemeError(
                    .badData,
                    "This checkpoint looks like a generator, but '\(name).weight' is missing or has no width.",
                    hint: "viseme inspect shows what the file has.")
            }
            return width
        }
        imageSize = levels == 5 ? 320 : 160
        let first = state["audio_model.conv1.conv.0.weight"]?.shape
        self.audio = audio ?? (first?.count == 4 && first?[1] == 256 ? .wenet : .ave)
    }

    /// The network with batch normalisation as trained.
    ///
    /// - Throws: `.badData` listing every tensor that is missing, misshapen, not finite or left over.
    func graph(_ network: inout NetworkBuilder) throws -> ModelGraph {
        let c = channels
        let skips = encoder(&network)
        let audioOut = audioBranch(&network)
        var x = network.add(.concatenate, "fuse.concat", [skips[skips.count - 1], audioOut])
        x = network.doubleConvolution("fuse_conv.0", x, 2 * c[4], c[4])
        x = network.doubleConvolution("fuse_conv.1", x, c[4], c[3])
        // What comes from below and what it becomes; the sum with the skip is the width of the level.
        var ups = [
            (2 * c[3], c[3] / 2), (c[2] + c[3] / 2, c[2] / 2), (c[1] + c[2] / 2, c[1] / 2), (c[0] + c[1] / 2, c[0]),
        ]
        if imageSize == 320 { ups.append((2 * c[0], c[0] / 2)) }
        for (i, (cin, cout)) in ups.enumerated() {
            let y = network.add(.upsample, "up\(i + 1).up", [x])
            x = network.add(.concatenate, "up\(i + 1).concat", [y, skips[skips.count - 2 - i]])
            x = network.doubleConvolution("up\(i + 1).conv", x, cin, cout)
        }
        x = network.convolution(
            "outc.conv", x, from: ups[ups.count - 1].1, to: 3, kernel: 1, Convolution(), hasBias: true)
        let weights = try network.ledger.settled(
            "a generator of width \(widthName) (\(audio.rawValue), \(imageSize) px)")
        var nodes = network.nodes
        let contract = GeneratorFamily.syncTalk2D.generator
        let output = contract[.mouth].name
        nodes.append(.init(.sigmoid, name: output, inputs: [x], output: output))
        var sound = contract[.audio].description()
        sound.shape = [.batch] + audio.shape.map { .fixed($0) }
        return ModelGraph(
            inputs: [contract[.image].description(PixelSize(square: imageSize)), sound],
            outputs: [contract[.mouth].description(PixelSize(square: imageSize))], nodes: nodes, weights: weights)
    }

    /// The image branch down to the bottleneck: x1, x2, … .
    private func encoder(_ network: inout NetworkBuilder) -> [String] {
        let c = channels
        var skips = [network.invertedResidual("inc.inconv.0", "image", 6, c[0], residual: false)]
        let downs = (imageSize == 320 ? [(c[0], c[0])] : []) + [(c[0], c[1]), (c[1], c[2]), (c[2], c[3]), (c[3], c[4])]
        for (i, (cin, cout)) in downs.enumerated() {
            skips.append(
                network.doubleConvolution("down\(i + 1).maxpool_conv.0", skips[i], cin, cout, stride: 2))
        }
        return skips
    }

    private func audioBranch(_ network: inout NetworkBuilder) -> String {
        let c = channels
        let name = "audio_model"
        let isWenet = audio == .wenet
        let (first, second) = isWenet ? (c[3], c[3]) : (c[1], c[2])
        var a = network.invertedResidual("\(name).conv1", "audio", isWenet ? c[3] : 32, first, residual: isWenet)
        a = network.invertedResidual("\(name).conv2", a, first, second, residual: isWenet)
        let strides = [audio == .hubert ? 2 : 1, audio == .ave ? 1 : 2]
        a = network.convolution(
            "\(name).conv3", a, from: second, to: c[3], kernel: 3,
            Convolution(strides: strides, padding: [1, 1, 1, 1]), hasBias: true)
        a = network.relu("\(name).bn3", network.batchNormalisation("\(name).bn3", a, channels: c[3]))
        a = network.invertedResidual("\(name).conv4", a, c[3], c[3], residual: true)
        a = network.convolution(
            "\(name).conv5", a, from: c[3], to: c[4], kernel: 3,
            Convolution(strides: [2, 2], padding: [3, 3, 3, 3]), hasBias: true)
        a = network.relu("\(name).bn5", network.batchNormalisation("\(name).bn5", a, channels: c[4]))
        a = network.invertedResidual("\(name).conv6", a, c[4], c[4], residual: true)
        return network.invertedResidual("\(name).conv7", a, c[4], c[4], residual: true)
    }
}
