// A stand-in for Apple's Core ML, so that Linux can type-check and exercise Sources/VisemeCoreML.
//
// It declares what the backend uses and nothing else, with the names, optionality, `throws` and `async` of Apple's SDK for
// macOS 15 / iOS 18. Two rules keep it honest. No class here is Sendable: some are in later SDKs, and what compiles without
// compiles with. And where Apple has a synchronous and an asynchronous method of one name, both are here, because they
// compete in overload resolution. The bodies are the least that lets scripts/check-coreml.sh run the backend: a "model" is
// a closure (`StandIn`), which is nothing of Apple's.
//
// Sources of the signatures: Apple's documentation of each symbol and the interface of the module in the macOS 15.5 SDK.

// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import Foundation

// MARK: - Multi-arrays

public enum MLMultiArrayDataType: Int, @unchecked Sendable {
    case double = 0x10040
    case float32 = 0x10020
    case float16 = 0x10010
    case int32 = 0x20020
}

open class MLMultiArray: NSObject {
    public let dataType: MLMultiArrayDataType
    public let shape: [NSNumber]
    public let strides: [NSNumber]
    private let storage: UnsafeMutableRawBufferPointer

    /// Apple's initialiser lays the scalars out first-major and contiguous.
    public convenience init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
        let shape = shape.map(\.intValue)
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in strides.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
        self.init(shape: shape, dataType: dataType, strides: strides)
    }

    public init(shape: [Int], dataType: MLMultiArrayDataType, strides: [Int]) {
        self.dataType = dataType
        self.shape = shape.map { NSNumber(value: $0) }
        self.strides = strides.map { NSNumber(value: $0) }
        let last = zip(shape, strides).map { ($0 - 1) * $1 }.reduce(0, +)
        storage = .allocate(byteCount: (last + 1) * (dataType.rawValue & 0xFF) / 8, alignment: 64)
        storage.initializeMemory(as: UInt8.self, repeating: 0xFF)  // Float32 and Float16: NaN
    }

    deinit { storage.deallocate() }

    public func withUnsafeBytes<R>(_ body: (_ ptr: UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(storage))
    }

    public func withUnsafeMutableBytes<R>(
        _ body: (_ ptr: UnsafeMutableRawBufferPointer, _ strides: [Int]) throws -> R
    ) rethrows -> R {
        try body(storage, strides.map(\.intValue))
    }
}

// MARK: - Features

public enum MLFeatureType: Int, @unchecked Sendable {
    case invalid = 0
    case int64, double, string, image, multiArray, dictionary, sequence, state
}

open class MLFeatureValue: NSObject {
    private let array: MLMultiArray?

    public init(multiArray value: MLMultiArray) { array = value }

    public var multiArrayValue: MLMultiArray? { array }
}

public protocol MLFeatureProvider {
    var featureNames: Set<String> { get }
    func featureValue(for featureName: String) -> MLFeatureValue?
}

open class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    public let dictionary: [String: MLFeatureValue]

    public init(dictionary: [String: Any]) throws {
        self.dictionary = dictionary.compactMapValues { $0 as? MLFeatureValue }
    }

    public var featureNames: Set<String> { Set(dictionary.keys) }

    public func featureValue(for featureName: String) -> MLFeatureValue? { dictionary[featureName] }
}

public protocol MLBatchProvider {
    var count: Int { get }
    func features(at index: Int) -> any MLFeatureProvider
}

open class MLArrayBatchProvider: NSObject, MLBatchProvider {
    public let array: [any MLFeatureProvider]

    public init(array: [any MLFeatureProvider]) { self.array = array }

    public var count: Int { array.count }

    public func features(at index: Int) -> any MLFeatureProvider { array[index] }
}

// MARK: - Descriptions

public enum MLMultiArrayShapeConstraintType: Int, @unchecked Sendable {
    case unspecified = 1
    case enumerated = 2
    case range = 3
}

open class MLMultiArrayShapeConstraint: NSObject {
    public let type: MLMultiArrayShapeConstraintType
    public let enumeratedShapes: [[NSNumber]]
    public let sizeRangeForDimension: [NSValue]

    init(type: MLMultiArrayShapeConstraintType, shapes: [[Int]], ranges: [NSRange]) {
        self.type = type
        enumeratedShapes = shapes.map { $0.map { NSNumber(value: $0) } }
        sizeRangeForDimension = ranges.map { NSValue(range: $0) }
    }
}

open class MLMultiArrayConstraint: NSObject {
    public let shape: [NSNumber]
    public let dataType: MLMultiArrayDataType
    public let shapeConstraint: MLMultiArrayShapeConstraint

    init(shape: [Int], dataType: MLMultiArrayDataType, shapeConstraint: MLMultiArrayShapeConstraint) {
        self.shape = shape.map { NSNumber(value: $0) }
        self.dataType = dataType
        self.shapeConstraint = shapeConstraint
    }
}

open class MLFeatureDescription: NSObject {
    public let name: String
    public let type: MLFeatureType
    public let isOptional: Bool
    public let multiArrayConstraint: MLMultiArrayConstraint?

    init(name: String, type: MLFeatureType, isOptional: Bool, multiArrayConstraint: MLMultiArrayConstraint?) {
        self.name = name
        self.type = type
        self.isOptional = isOptional
        self.multiArrayConstraint = multiArrayConstraint
    }
}

open class MLModelDescription: NSObject {
    public let inputDescriptionsByName: [String: MLFeatureDescription]
    public let outputDescriptionsByName: [String: MLFeatureDescription]

    init(inputs: [MLFeatureDescription], outputs: [MLFeatureDescription]) {
        inputDescriptionsByName = Dictionary(uniqueKeysWithValues: inputs.map { ($0.name, $0) })
        outputDescriptionsByName = Dictionary(uniqueKeysWithValues: outputs.map { ($0.name, $0) })
    }
}

// MARK: - Models

public enum MLComputeUnits: Int, @unchecked Sendable {
    case cpuOnly = 0
    case cpuAndGPU = 1
    case all = 2
    case cpuAndNeuralEngine = 3
}

open class MLCPUComputeDevice: NSObject {}
open class MLGPUComputeDevice: NSObject {}
open class MLNeuralEngineComputeDevice: NSObject {}

public enum MLComputeDevice: Equatable, Hashable, CustomStringConvertible, @unchecked Sendable {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)

    public var description: String {
        switch self {
        case .cpu: "CPU"
        case .gpu: "GPU"
        case .neuralEngine: "Neural Engine"
        }
    }

    public static var allComputeDevices: [MLComputeDevice] { StandIn.devices }
}

open class MLModelConfiguration: NSObject {
    public var modelDisplayName: String?
    public var computeUnits: MLComputeUnits = .all
}

open class MLPredictionOptions: NSObject {}

open class MLModel: NSObject {
    public let modelDescription: MLModelDescription
    public let configuration: MLModelConfiguration
    private let body: StandIn.Body

    public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
        let model = try StandIn.load(url)
        modelDescription = MLModelDescription(
            inputs: model.inputs.map(\.description), outputs: model.outputs.map(\.description))
        body = model.body
        self.configuration = configuration
    }

    public func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider {
        try prediction(from: input, options: MLPredictionOptions())
    }

    public func prediction(from input: any MLFeatureProvider, options: MLPredictionOptions) throws
        -> any MLFeatureProvider
    {
        StandIn.predictions += 1
        return try MLDictionaryFeatureProvider(
            dictionary: body(input).mapValues { MLFeatureValue(multiArray: $0) })
    }

    public func predictions(fromBatch inputBatch: any MLBatchProvider) throws -> any MLBatchProvider {
        try predictions(from: inputBatch, options: MLPredictionOptions())
    }

    public func predictions(from inputBatch: any MLBatchProvider, options: MLPredictionOptions) throws
        -> any MLBatchProvider
    {
        StandIn.batches.append(inputBatch.count)
        return MLArrayBatchProvider(
            array: try (0..<inputBatch.count).map {
                try prediction(from: inputBatch.features(at: $0), options: options)
            })
    }
}

extension MLModel {
    public class func load(
        contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
    ) async throws -> MLModel {
        try MLModel(contentsOf: url, configuration: configuration)
    }

    public class func compileModel(at url: URL) async throws -> URL {
        try StandIn.compile(url)
    }

    public func prediction(
        from input: any MLFeatureProvider, options: MLPredictionOptions = MLPredictionOptions()
    ) async throws -> any MLFeatureProvider {
        throw CocoaError(.featureUnsupported)  // the backend calls the synchronous one, on its own queue
    }
}

@available(*, unavailable) extension MLModel: Sendable {}
@available(*, unavailable) extension MLModelConfiguration: Sendable {}
@available(*, unavailable) extension MLModelDescription: Sendable {}
@available(*, unavailable) extension MLFeatureDescription: Sendable {}
@available(*, unavailable) extension MLFeatureValue: Sendable {}
@available(*, unavailable) extension MLMultiArray: Sendable {}
@available(*, unavailable) extension MLDictionaryFeatureProvider: Sendable {}
@available(*, unavailable) extension MLArrayBatchProvider: Sendable {}

/// Foundation gives this one on Apple systems (module ObjectiveC); Linux has none.
public func autoreleasepool<E: Error, Result: ~Copyable>(invoking body: () throws(E) -> Result) throws(E) -> Result {
    try body()
}

// MARK: - Not Apple's: what the exercise puts behind the declarations

public enum StandIn {
    public typealias Body = (any MLFeatureProvider) throws -> [String: MLMultiArray]

    public struct Tensor {
        var description: MLFeatureDescription

        public init(
            _ name: String, _ shape: [Int], _ type: MLMultiArrayDataType = .float32, isOptional: Bool = false,
            isImage: Bool = false, shapes: [[Int]] = [], ranges: [NSRange] = []
        ) {
            let constraint = MLMultiArrayShapeConstraint(
                type: !ranges.isEmpty ? .range : !shapes.isEmpty ? .enumerated : .unspecified, shapes: shapes,
                ranges: ranges)
            description = MLFeatureDescription(
                name: name, type: isImage ? .image : .multiArray, isOptional: isOptional,
                multiArrayConstraint: isImage
                    ? nil : MLMultiArrayConstraint(shape: shape, dataType: type, shapeConstraint: constraint))
        }
    }

    public struct Model {
        var inputs: [Tensor]
        var outputs: [Tensor]
        public var body: Body

        public init(inputs: [Tensor], outputs: [Tensor], body: @escaping Body) {
            self.inputs = inputs
            self.outputs = outputs
            self.body = body
        }
    }

    // The exercise sets these before it starts a session, and runs one at a time.
    nonisolated(unsafe) public static var devices: [MLComputeDevice] = [.cpu(MLCPUComputeDevice())]
    nonisolated(unsafe) public static var load: (URL) throws -> Model = { _ in throw CocoaError(.fileNoSuchFile) }
    nonisolated(unsafe) public static var compile: (URL) throws -> URL = { $0 }
    nonisolated(unsafe) public static var predictions = 0
    nonisolated(unsafe) public static var batches: [Int] = []
}
