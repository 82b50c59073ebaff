import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeONNX

/// ONNX Runtime and the models of these tests.
enum Runtime {
    static func backend() throws -> ONNXBackend {
        let path: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try ONNXBackend(libraryPath: path)
    }

    static func model(_ name: String) -> URL { Bundle.module.bundleURL.appending(path: "Models/\(name)") }

    static func floats(_ name: String) throws -> [Float] {
        try Data(contentsOf: model(name)).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
    }

    /// A file with the description that its manifest would have: read from the model itself.
    static func described(_ role: ModelRole, _ name: String) throws -> ModelFile {
        ModelFile(try backend().describe(role, at: model(name)), at: model(name))
    }
}
