import Foundation
public import Viseme

/// What `viseme inspect` says about a model.
public struct ModelReport: Sendable, Codable {
    /// Statistics of one layer's weights.
    public struct Layer: Sendable, Codable {
        /// The layer's name.
        public var name: String
        /// Shape of its weights.
        public var shape: [Int]
        /// How they are stored.
        public var type: String
        /// Mean, standard deviation and extremes of the weights.
        public var mean, deviation, minimum, maximum: Float
        /// Share of weights that are exactly zero, 0…1.
        public var zeros: Double
        /// Weights that are not finite.
        public var notFinite: Int
    }

    /// The file's name.
    public var file: String
    /// "ONNX" and so on.
    public var format: String
    /// Size in bytes.
    public var bytes: Int
    /// SHA-256, 64 hexadecimal digits.
    public var sha256: String
    /// The network, in words; nil when it is none of this family.
    public var family: String?
    /// Why the network could not be read.
    public var problem: String?
    /// Inputs and outputs as `name [B,1,80,16]`.
    public var inputs, outputs: [String]
    /// How often each operation occurs.
    public var operations: [String: Int]
    /// Number of weights.
    public var parameters: Int
    /// Element types of the weights with their counts.
    public var precision: [String: Int]
    /// Provenance, licence and whatever else the file says about itself.
    public var metadata: [String: String]
    /// What is odd about the file.
    public var remarks: [String]
    /// Whether it was ever trained.
    public var verdict: TrainingVerdict
    /// The layers with weights.
    public var layers: [Layer]

    /// Looks at a model.
    public init(_ model: OpenedModel) {
        file = model.url.lastPathComponent
        format = model.format.rawValue
        bytes = model.byteCount
        sha256 = model.sha256
        family = model.family?.text
        problem = model.problem.map { "\($0)" }
        inputs = model.inputs.map { "\($0.name) \($0.shapeText)" }
        outputs = model.outputs.map { "\($0.name) \($0.shapeText)" }
        operations = model.operations
        if operations.isEmpty, let graph = model.graph {
            operations = Dictionary(grouping: graph.nodes, by: \.operation.label).mapValues(\.count)
        }
        let tensors =
            model.state?.tensors ?? model.graph.map { Array($0.weights.values) } ?? model.looseLayers.map(\.weight)
        parameters = tensors.filter {
            $0.type.isFloatingPoint && !$0.name.hasSuffix("running_mean") && !$0.name.hasSuffix("running_var")
        }
        .reduce(0) { $0 + $1.count }
        precision = Dictionary(grouping: tensors, by: \.type.rawValue).mapValues { $0.reduce(0) { $0 + $1.count } }
        metadata = model.metadata
        remarks = model.remarks
        verdict = model.verdict
        layers = model.layers.map { Layer($0.name, $0.weight) }
        if let unused = model.graph?.unusedTensors, !unused.isEmpty {
            remarks.append("tensors that nothing uses: " + unused.joined(separator: ", "))
        }
        let broken = layers.filter { $0.notFinite > 0 }
        if !broken.isEmpty {
            remarks.append("weights that are not numbers in " + broken.map(\.name).joined(separator: ", "))
        }
        let dead = layers.filter { $0.minimum == 0 && $0.maximum == 0 }
        if !dead.isEmpty { remarks.append("all weights are zero in " + dead.map(\.name).joined(separator: ", ")) }
    }
}

extension ModelReport.Layer {
    init(_ name: String, _ tensor: StoredTensor) {
        self.name = name
        shape = tensor.shape
        type = tensor.type.rawValue
        let values = tensor.floats()
        let finite = values.filter(\.isFinite)
        notFinite = values.count - finite.count
        let count = Double(max(1, finite.count))
        let mean = finite.reduce(0.0) { $0 + Double($1) } / count
        self.mean = Float(mean)
        deviation = Float((finite.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count).squareRoot())
        minimum = finite.min() ?? 0
        maximum = finite.max() ?? 0
        zeros = Double(finite.count { $0 == 0 }) / count
    }
}
