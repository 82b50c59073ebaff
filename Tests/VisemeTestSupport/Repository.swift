public import Foundation

/// Where the tests find what lies outside of their own resources.
public enum Repository {
    /// The repository's root.
    public static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

    /// The default avatar, of the compact family.
    public static let robin = root.appending(path: "avatars/robin.avatar")

    /// The first robin, of the inherited family: trained models of full value for tests and benchmarks.
    public static let inheritedRobin = root.appending(path: "Tests/Packs/synctalk2d.avatar")

    #if os(macOS)
        /// What ONNX Runtime's library is called here.
        public static let libraryName = "libonnxruntime.dylib"
    #else
        /// What ONNX Runtime's library is called here.
        public static let libraryName = "libonnxruntime.so"
    #endif

    /// ONNX Runtime: VISEME_ONNXRUNTIME, or what `make setup` put into `.deps`; nil where there is none.
    public static let onnxRuntime: String? = {
        if let named = ProcessInfo.processInfo.environment["VISEME_ONNXRUNTIME"], !named.isEmpty { return named }
        let path = root.appending(path: ".deps/onnxruntime/lib/\(libraryName)").path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    /// ONNX Runtime with OpenVINO: what `make setup PROVIDER=openvino` put into `.deps`; nil where there is none.
    public static let openVINO: String? = {
        let path = root.appending(path: ".deps/openvino/lib/\(libraryName)").path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    /// Whether the tests that run models can run; where CI must run them they do, and fail without the library.
    public static let canRunModels = onnxRuntime != nil || ProcessInfo.processInfo.environment["CI"] == "true"
}

/// A folder that exists while a test runs.
public func withTemporaryFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "viseme-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    do {
        let result = try await body(folder)
        try FileManager.default.removeItem(at: folder)
        return result
    } catch {
        try? FileManager.default.removeItem(at: folder)  // the test's own error counts
        throw error
    }
}
