import Foundation
import Testing
import Viseme
import VisemeONNX
import VisemeTestSupport
@testable import VisemeModels

/// The generator of channels 2, 4, 8, 16, 32 that `Tests/Fixtures/model_files.py` writes in every format.
enum Narrow {
    /// What PyTorch answered to the fixed input, at some places.
    struct Probe: Decodable {
        var index: [Int]
        var value: [Float]
    }

    struct Description: Decodable {
        var channels: [Int]
        var reinitialised: String
        var fp32: Probe
        var fp16: Probe
    }

    static func url(_ name: String) -> URL { Bundle.module.bundleURL.appending(path: "Golden/\(name)") }
    static func open(_ name: String) throws -> OpenedModel { try OpenedModel(at: url(name)) }
    static func description() throws -> Description {
        try JSONDecoder().decode(Description.self, from: Data(contentsOf: url("narrow.json")))
    }

    static func runner() throws -> ONNXBackend {
        let path: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try ONNXBackend(libraryPath: path)
    }

    /// x[i] = 0.5 + 0.5·sin(0.001·i²), computed in Float64.
    static func input(_ count: Int) -> [Float] {
        (0..<count).map { i in Float(0.5 + 0.5 * sin(0.001 * Double(i) * Double(i))) }
    }

    /// The state dict with some tensors changed, dropped (nil) or added.
    static func state(_ changes: [String: StoredTensor?]) throws -> StateDict {
        let original = try #require(try open("narrow.pth").state)
        var tensors = original.tensors.compactMap { tensor in
            if let change = changes[tensor.name] { change } else { tensor }
        }
        for (name, tensor) in changes where original[name] == nil { if let tensor { tensors.append(tensor) } }
        return try StateDict(tensors)
    }
}
