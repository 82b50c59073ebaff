public import Foundation
public import Viseme

/// A model file, opened and recognised: what `inspect`, `convert`, `compare` and `doctor` start from.
public struct OpenedModel: Sendable {
    /// The file formats.
    public enum Format: String, Sendable, Codable {
        case pytorch = "PyTorch checkpoint"
        case safetensors
        case onnx = "ONNX"
        case coreML = "Core ML package"
    }

    /// Where it is.
    public let url: URL
    /// What it is.
    public let format: Format
    /// Bytes of the file, or of all files of the package.
    public let byteCount: Int
    /// SHA-256 of the file; of a package, see `ModelFile.sha256(at:)`.
    public let sha256: String
    /// The tensors of a checkpoint.
    public let state: StateDict?
    /// Which network of the family it is; nil for any other.
    public let family: ModelFamily?
    /// The network as the file has it: batch normalisation unfolded in a checkpoint.
    public let graph: ModelGraph?
    /// Why there is no `graph`.
    public let problem: VisemeError?
    /// Whether it keeps a contract, although some of its operations are unknown: it runs as it was exported.
    public var runsAsExported: Bool { problem != nil && family?.contract == .compact }
    /// How often each operation occurs, in the file's own words.
    public let operations: [String: Int]
    /// What the file says about itself.
    public let metadata: [String: String]
    /// What is odd about the file although it can be read.
    public let remarks: [String]
    /// Its inputs and outputs; none of a checkpoint that is not read.
    public let inputs, outputs: [TensorDescription]
    /// What looks like layers in an ONNX file that is not read as a graph.
    let looseLayers: [LayerWeights]

    /// Opens a file and tells by its content what it is.
    ///
    /// A file that is readable but no network of this family has no `graph`; `problem` says why.
    ///
    /// - Parameter audio: What a generator's audio branch reads, for checkpoints that cannot tell HuBERT from ave.
    /// - Throws: `.noInput` when there is nothing, `.badData` for damaged or unknown files.
    public init(at url: URL, audio: GeneratorArchitecture.Audio? = nil) throws {
        self.url = url
        let name = url.lastPathComponent
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw VisemeError(.noInput, "There is no model at '\(url.path)'.")
        }
        sha256 = try ModelFile.sha256(at: url)
        if isFolder.boolValue {
            let package = try ModelPackage(at: url)
            let program = try MLProgramReader(package, name: name)
            format = .coreML
            byteCount = package.specification.count + package.weights.count
            state = nil
            operations = program.operations
            metadata = program.metadata
            remarks = package.remarks + program.remarks
            (family, graph, problem) = try Self.recognise { try program.graph() }
            (inputs, outputs) = (graph?.inputs ?? [], graph?.outputs ?? [])
            looseLayers = []
            return
        }
        let data: Data
        do {
            data = try Data(contentsOf: url, options: .mappedIfSafe)
        } catch {
            throw VisemeError(.noInput, "The model '\(url.path)' cannot be read.", cause: error)
        }
        byteCount = data.count
        format = try Self.format(of: data, name: name)
        switch format {
        case .pytorch, .safetensors:
            let state: StateDict
            if format == .pytorch {
                state = try PyTorchCheckpoint.read(data, name: name)
                metadata = [:]
            } else {
                (state, metadata) = try Safetensors.read(data, name: name)
            }
            self.state = state
            operations = [:]
            remarks = state.remarks
            (family, graph, problem) = Self.checkpoint(state, audio: audio)
            (inputs, outputs) = (graph?.inputs ?? [], graph?.outputs ?? [])
            looseLayers = []
        case .onnx, .coreML:
            var model = try ONNXReader.model(data, name: name)
            let beside = try ExternalData.embed(in: &model, from: url.deletingLastPathComponent(), name: name)
            state = nil
            operations = Dictionary(grouping: model.graph.node, by: \.opType).mapValues(\.count)
            metadata = ONNXReader.metadata(model)
            remarks =
                beside.map { "weights in '\($0)' beside it, which the hash does not cover; an import puts them inside" }
                + (operations["QuantizeLinear"] == nil
                    ? []
                    : ["in int8: what is compared and probed here are its weights, with Float32 between the layers"])
            let (known, read, unread) = try Self.recognise { try ONNXReader.graph(model) }
            graph = read
            looseLayers = graph == nil ? try LayerWeights.layers(of: model) : []
            (inputs, outputs) = read.map { ($0.inputs, $0.outputs) } ?? ONNXReader.interface(model)
            let compact = read == nil ? ModelFamily(compact: inputs, outputs) : nil
            family = known ?? compact
            problem = unread
        }
    }

    /// The error for tensors of no known network. Lightning and wrappers put a prefix before every name: then it is named.
    /// What compact networks are trained as is named, too: a pack's models are made of two checkpoints.
    static func unknown(_ state: StateDict) -> VisemeError {
        for (tensor, what) in [
            ("listener.first.weight", "the audio encoder and the listener"), ("painter.stem.0.weight", "the painter"),
        ] where state[tensor] != nil {
            return VisemeError(
                .unsupported,
                "Its tensors are \(what) of the compact family as training keeps them, not yet a pack's model.",
                hint: "Training writes a pack's ONNX files from listener.pth and painter.pth: see training/README.md.")
        }
        for prefix in ["model.", "module.", "net.", "generator.", "state_dict."] {
            let names = state.tensors.map(\.name).filter { $0.hasPrefix(prefix) }
            guard !names.isEmpty else { continue }
            return VisemeError(
                .unsupported,
                "Its tensors belong to none of the networks that Viseme knows: \(names.count) names begin with '\(prefix)'.",
                hint: "Save the network itself: torch.save(wrapper.\(prefix.dropLast()).state_dict(), 'network.pth')")
        }
        return VisemeError(.unsupported, "Its tensors belong to none of the networks that Viseme knows.")
    }

    private static func checkpoint(_ state: StateDict, audio: GeneratorArchitecture.Audio?) -> (
        ModelFamily?, ModelGraph?, VisemeError?
    ) {
        var family: ModelFamily?
        do {
            family = try ModelFamily(of: state, audio: audio)
            guard let family else {
                throw unknown(state)
            }
            return (family, try family.graph(state), nil)
        } catch let error as VisemeError {
            return (family, nil, error)
        } catch {
            return (family, nil, VisemeError(.badData, "The network cannot be read.", cause: error))
        }
    }

    private static func recognise(_ read: () throws -> ModelGraph) throws -> (ModelFamily?, ModelGraph?, VisemeError?) {
        do {
            let graph = try read()
            guard let (family, named) = try ModelFamily.recognised(graph) else {
                return (nil, graph, nil)
            }
            return (family, named, nil)
        } catch let error as VisemeError where error.code == .unsupported {
            return (nil, nil, error)
        }
    }

    private static func format(of data: Data, name: String) throws -> Format {
        let head = [UInt8](data.prefix(16))
        if data.starts(with: Data("version https://git-lfs".utf8)) {
            throw VisemeError(
                .badData, "'\(name)' is a pointer of Git LFS, not the model itself.", hint: "Fetch it: git lfs pull")
        }
        if head.first == UInt8(ascii: "<") {
            throw VisemeError(
                .badData, "'\(name)' is a web page, not a model.",
                hint: "The download needs a log-in or another address; fetch the file itself.")
        }
        if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) { return .pytorch }  // a zip archive
        if head.first == 0x80, head.count > 1, (2...5).contains(head[1]) { return .pytorch }  // a pickle
        if head.count > 8, head[8] == UInt8(ascii: "{"), head[4..<8].allSatisfy({ $0 == 0 }) { return .safetensors }
        if head.first == 0x08 || name.hasSuffix(".onnx") { return .onnx }  // the version field of an ONNX model
        throw VisemeError(
            .badData,
            "'\(name)' is not a model that Viseme knows: \(data.count) bytes that begin with \(head.prefix(4).map { String($0, radix: 16) }).",
            hint: "Models are .pth, .safetensors, .onnx files and .mlpackage folders.")
    }

    /// What the weights say about training: of the graph where there is one, else of whatever looks like layers.
    public var verdict: TrainingVerdict { TrainingVerdict(layers: layers) }

    var layers: [LayerWeights] {
        graph.map(LayerWeights.layers(of:)) ?? state.map(LayerWeights.layers(of:)) ?? looseLayers
    }
}
