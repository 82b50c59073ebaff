import Foundation
import Viseme

// Compiled by scripts/fuzz.sh together with the sources of VisemeModels, so that libFuzzer sees their branches.

/// What a run of the fuzzer reads: VISEME_FUZZ names it.
private enum Subject: String {
    case pth, onnx, mlmodel, weights, npy, safetensors, manifest
}

private let subject = Subject(rawValue: ProcessInfo.processInfo.environment["VISEME_FUZZ"] ?? "")

/// The weights that a package's specification is read with.
private let weights = Data(count: 4096)

/// What loading does with a graph before a runtime sees it.
private func prepare(_ graph: ModelGraph) throws {
    _ = try graph.multiplications()
    let model = ModelDescription(
        role: .generator, file: "fuzz", sha256: "", inputs: graph.inputs, outputs: graph.outputs)
    for family in [GeneratorFamily.syncTalk2D, .compact] {
        guard let roles = GeneratorRoles(graph, of: model, family.generator) else { continue }
        for bytes in [1_000_000, 1_000_000_000] {
            _ = try SplitParts(of: graph, roles, model: model, budget: TemplateBudget(frames: 100, bytes: bytes))
        }
    }
}

/// libFuzzer's entry: any bytes may throw, none may trap.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let data = Data(bytes: bytes, count: count)
    do {
        switch subject {
        case .pth: _ = try PyTorchCheckpoint.read(data, name: "fuzz")
        case .onnx: try prepare(ONNXReader.graph(data, name: "fuzz"))
        case .mlmodel:
            _ = try MLProgramReader(ModelPackage(specification: data, weights: weights), name: "fuzz").graph()
        case .weights:
            let file = try WeightFile(data)
            for offset in stride(from: 64, to: UInt64(data.count), by: 64) { _ = try? file.entry(at: offset) }
        case .npy: _ = try NumPyArray.read(data, name: "fuzz")
        case .safetensors: _ = try Safetensors.read(data, name: "fuzz")
        case .manifest: try JSONDecoder().decode(AvatarManifest.self, from: data).validate()
        case nil: preconditionFailure("VISEME_FUZZ names no subject")
        }
    } catch {
        // An error is the right answer to bad bytes.
    }
    return 0
}
