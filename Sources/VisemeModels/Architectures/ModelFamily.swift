public import Viseme

/// Which network of which family a model is. A further family adds its networks here.
public enum ModelFamily: Sendable, Equatable {
    /// Mel windows → feature rows.
    case audioEncoder
    /// Roi and feature window → mouth.
    case generator(GeneratorArchitecture)
    /// A network of the compact family; with a picture's size for a generator. It is known by its inputs and outputs.
    case compact(ModelRole, PixelSize?)

    /// What it does in the pipeline.
    public var role: ModelRole {
        switch self {
        case .audioEncoder: .audioEncoder
        case .generator: .generator
        case .compact(let role, _): role
        }
    }

    /// The contract that it keeps.
    public var contract: GeneratorFamily {
        switch self {
        case .audioEncoder, .generator: .syncTalk2D
        case .compact: .compact
        }
    }

    /// In words: "generator, ave audio, full width (32,64,128,256,512), 320 px".
    public var text: String {
        switch self {
        case .audioEncoder: "audio encoder, (B,1,80,16) → (B,512)"
        case .generator(let generator):
            "generator, \(generator.audio.rawValue) audio \(generator.audio.shape), \(generator.widthName) width \(generator.channels), \(generator.imageSize) px"
        case .compact(.audioEncoder, _): "compact audio encoder, (B,80,8) → (B,96)"
        case .compact(.articulator, _): "compact articulator, (B,32,96) → (B,\(MouthShape.valueCount))"
        case .compact(.generator, let size): "compact generator, \(size.map { "\($0)" } ?? "?") px"
        }
    }

    /// The compact network whose inputs and outputs these are, or nil.
    init?(compact inputs: [TensorDescription], _ outputs: [TensorDescription]) {
        for role in ModelRole.allCases {
            guard let contract = GeneratorFamily.compact.contract(of: role), inputs.count == contract.inputs.count,
                outputs.count == contract.outputs.count
            else { continue }
            let model = ModelDescription(role: role, file: "", sha256: "", inputs: inputs, outputs: outputs)
            // What does not fit is another network.
            if let tensors = try? TensorBinding(contract, inputs: inputs, outputs: outputs, of: model) {
                self = .compact(role, tensors.picture)
                return
            }
        }
        return nil
    }

    /// The family of a state dict, or nil.
    init?(of state: StateDict, audio: GeneratorArchitecture.Audio? = nil) throws {
        if AudioEncoderArchitecture.matches(state) {
            self = .audioEncoder
        } else if GeneratorArchitecture.matches(state) {
            self = .generator(try GeneratorArchitecture(of: state, audio: audio))
        } else {
            return nil
        }
    }

    /// The network that a state dict holds.
    func graph(_ state: StateDict) throws -> ModelGraph {
        var network = NetworkBuilder(self == .audioEncoder ? try AudioEncoderArchitecture.renamed(state) : state)
        return try graph(&network)
    }

    private func graph(_ network: inout NetworkBuilder) throws -> ModelGraph {
        switch self {
        case .audioEncoder: return try AudioEncoderArchitecture.graph(&network)
        case .generator(let architecture): return try architecture.graph(&network)
        case .compact: throw VisemeError(.unsupported, "A \(text) is read from ONNX files and Core ML packages alone.")
        }
    }

    /// The family of a graph whose names say nothing: the architecture that has the same operations and shapes throughout, or nil.
    /// A compact network is whatever keeps the family's contract, and its layers keep their names.
    ///
    /// Of a network in int8 the graph without its grids is named: its weights as they are, its arithmetic in Float32.
    static func recognised(_ graph: ModelGraph) throws -> (family: ModelFamily, named: ModelGraph)? {
        let folded = graph.withoutGrids().folded()
        guard let family = candidate(folded) else {
            return ModelFamily(compact: folded.inputs, folded.outputs).map { ($0, folded) }
        }
        let architecture = try family.outline().folded()
        guard folded.nodes.count == architecture.nodes.count,
            try folded.aligned(with: architecture).allSatisfy({ $0.1 != nil })
        else { return nil }
        return (family, try folded.named(like: architecture))
    }

    /// The architecture with zeros for weights.
    private func outline() throws -> ModelGraph {
        var network = NetworkBuilder(outline: ())
        return try graph(&network)
    }

    private static func candidate(_ graph: ModelGraph) -> ModelFamily? {
        func axes(_ tensor: TensorDescription) -> [Int] { tensor.shape.dropFirst().map(\.length) }
        let inputs = graph.inputs.map(axes)
        let encoder = GeneratorFamily.syncTalk2D.audioEncoder
        if inputs == encoder.inputs.map({ axes($0.description()) }),
            graph.outputs.map(axes) == encoder.outputs.map({ axes($0.description()) })
        {
            return .audioEncoder
        }
        guard inputs.count == 2, let image = inputs.first(where: { $0.first == 6 && $0.count == 3 }),
            let sound = inputs.first(where: { $0 != image }),
            let audio = GeneratorArchitecture.Audio.allCases.first(where: { $0.shape == sound })
        else { return nil }
        // The widths: half of what the downsampling depthwise layers have, and the output of the audio branch's last 3×3.
        var depthwise: [Int] = []
        var deepest = 0
        for node in graph.nodes {
            guard case .convolution(let convolution) = node.operation, let shape = graph.weights[node.inputs[1]]?.shape
            else { continue }
            if convolution.strides == [2, 2], convolution.groups == shape[0] { depthwise.append(shape[0] / 2) }
            if convolution.padding == [3, 3, 3, 3] { deepest = shape[0] }
        }
        let size = image[1]
        guard (1...1024).contains(deepest), depthwise.count == (size == 320 ? 5 : 4),
            depthwise.allSatisfy({ (1...1024).contains($0) })
        else { return nil }
        let channels = (size == 320 ? Array(depthwise.dropFirst()) : depthwise) + [deepest]
        return .generator(GeneratorArchitecture(channels: channels, audio: audio, imageSize: size))
    }
}
