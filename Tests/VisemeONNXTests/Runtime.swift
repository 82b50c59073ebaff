import Foundation
import Testing
import Viseme

@testable import VisemeONNX

/// ONNX Runtime as these tests find it: VISEME_ONNXRUNTIME, or what `make setup` put into `.deps`.
enum Runtime {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

    #if os(macOS)
        static let name = "libonnxruntime.dylib"
    #else
        static let name = "libonnxruntime.so"
    #endif

    /// The library's path, or nil where there is none.
    static let path: String? = {
        if let named = ProcessInfo.processInfo.environment["VISEME_ONNXRUNTIME"], !named.isEmpty { return named }
        let path = root.appending(path: ".deps/onnxruntime/lib/\(name)").path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    /// Whether the tests run: where CI must run them they do, and fail without the library.
    static let isExpected = path != nil || ProcessInfo.processInfo.environment["CI"] == "true"

    static func backend() throws -> ONNXBackend {
        let path: String = try #require(path, "ONNX Runtime is not in .deps: run make setup")
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

/// SplitMix64 as floats: the same numbers everywhere for one seed.
func randomFloats(_ count: Int, in range: ClosedRange<Float>, seed: UInt64) -> [Float] {
    var state = seed &* 0x9e37_79b9_7f4a_7c15
    return (0..<count).map { _ in
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        let unit = Float((z ^ (z >> 31)) >> 40) / Float(1 << 24)
        return range.lowerBound + unit * (range.upperBound - range.lowerBound)
    }
}
