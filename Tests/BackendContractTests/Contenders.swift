import Foundation
import Testing
import Viseme
import VisemeCoreML
import VisemeModels
import VisemeONNX
import VisemeTestSupport

/// The backends that this machine can run. A new backend adds a case, and nothing else.
enum Contender: String, CaseIterable, CustomTestStringConvertible {
    case onnx = "ONNX Runtime"
    case translated = "Core ML package, translated"
    case inParts = "ONNX Runtime, the generator in parts, as a render uses it"
    #if canImport(CoreML)
        case coreML = "Core ML"
    #endif

    static var here: [Contender] { Repository.canRunModels ? allCases : [] }

    var testDescription: String { rawValue }

    func backend() throws -> any InferenceBackend {
        switch self {
        case .onnx: return try Self.runner()
        case .translated: return TranslatingBackend(try Self.runner())
        case .inParts: return TranslatingBackend(splitting: try Self.runner())
        #if canImport(CoreML)
            case .coreML: return try CoreMLBackend(units: .cpuOnly)
        #endif
        }
    }

    static func runner() throws -> ONNXBackend {
        let path: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try ONNXBackend(libraryPath: path)
    }

    /// A pack's network in the backend's own format.
    func model(_ role: ModelRole, in folder: URL, of pack: URL = Repository.inheritedRobin) async throws -> ModelFile {
        let source = try Avatar(contentsOf: pack).model(role)
        guard self != .onnx, self != .inParts else { return source }
        let package = folder.appending(path: "\(role.rawValue).mlpackage")
        _ = try await ModelConverter(tool: "contract suite", runner: Self.runner()).convert(source.url, to: package)
        let graph = try OpenedModel(at: package).network().graph
        return ModelFile(
            ModelDescription(
                role: role, file: package.lastPathComponent, sha256: try ModelFile.sha256(at: package),
                inputs: graph.inputs, outputs: graph.outputs), at: package, family: source.family)
    }

    func encoder(in folder: URL) async throws -> any AudioEncoder {
        try await backend().audioEncoder(model(.audioEncoder, in: folder), threads: 1)
    }

    func generator(in folder: URL) async throws -> any Generator {
        try await backend().generators(
            model(.generator, in: folder), count: 1, threads: 1,
            template: TemplateBudget(frames: 5, bytes: 200_000_000))[0]
    }
}

/// The default avatar's goldens: what PyTorch gave.
enum Robin {
    static func avatar() throws -> Avatar {
        try Avatar(contentsOf: Repository.inheritedRobin)
    }

    static func golden(_ role: ModelRole) throws -> AvatarManifest.Golden {
        try #require(try avatar().manifest.golden?.first { $0.role == role })
    }

    static func values(_ file: String) throws -> [Float] {
        try FeatureDump(at: avatar().url.appending(path: file)).values
    }

    /// The generator's golden inputs: the image's six planes and the feature window.
    static func generatorInputs() throws -> (image: [Float], audio: [Float]) {
        let (avatar, golden) = (try avatar(), try golden(.generator))
        let side = avatar.manifest.geometry.roi.width
        let bytes = [UInt8](try Data(contentsOf: avatar.url.appending(path: golden.inputs[0])))
        let (roi, compositor) = (Image(width: side, height: side, bytes: bytes), Compositor(avatar.manifest.geometry))
        return (
            compositor.generatorInput(roi: roi, masked: compositor.masked(roi)), try values(golden.inputs[1])
        )
    }

    static func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
        a.count == b.count ? zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } : .infinity
    }
}
