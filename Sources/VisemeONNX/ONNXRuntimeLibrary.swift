import COnnxRuntime
import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// ONNX Runtime's shared library, found and opened at run time.
///
/// Building Viseme needs nothing installed. The search order is: the path given, `VISEME_ONNXRUNTIME`, the executable's folder, `.deps`
/// below the working folder and above the executable, the system's own paths. A miss lists every place.
public struct ONNXRuntimeLibrary: Sendable {
    /// Where the library was found.
    public let path: String
    /// The version that it names itself.
    public let version: String
    /// What of it runs the models.
    public let provider: ExecutionProvider

    // The table is immutable and the library is never unloaded, so the pointers stay valid from any thread.
    nonisolated(unsafe) let api: UnsafePointer<VisemeOrtApi>
    nonisolated(unsafe) let environment: OpaquePointer

    /// Opens ONNX Runtime.
    ///
    /// - Parameters:
    ///   - path: The library to open; nil to search.
    ///   - provider: What of it shall run the models.
    /// - Throws: `.unavailable` listing every place that was tried, or naming a library that is too old or lacks the provider.
    public init(path: String? = nil, provider: ExecutionProvider = .cpu) throws {
        // The library reads it while it is loaded. Switched off later, it has queued a report in the user's cache already.
        setenv("ORT_DISABLE_TELEMETRY", "1", 1)
        let candidates = path.map { [$0] } ?? Self.candidates(folder: provider.folder)
        var failures: [String] = []
        for candidate in candidates {
            if candidate.contains("/"), !FileManager.default.fileExists(atPath: candidate) {
                failures.append("\(candidate): no such file")
                continue
            }
            guard let handle = dlopen(candidate, RTLD_NOW | RTLD_LOCAL) else {
                failures.append("\(candidate): \(dlerror().map { String(cString: $0) } ?? "cannot be opened")")
                continue
            }
            guard let symbol = dlsym(handle, "OrtGetApiBase") else {
                failures.append("\(candidate): not ONNX Runtime (it has no OrtGetApiBase)")
                continue
            }
            let getBase = unsafeBitCast(symbol, to: VisemeOrtGetApiBase.self)
            guard let base = getBase() else {
                failures.append("\(candidate): OrtGetApiBase gave nothing")
                continue
            }
            let version = base.pointee.GetVersionString?().map { String(cString: $0) } ?? "unknown"
            guard let api = base.pointee.GetApi(UInt32(VISEME_ORT_API_VERSION)) else {
                throw VisemeError(
                    .unavailable,
                    "ONNX Runtime \(version) at \(candidate) is too old: Viseme needs version 1.\(VISEME_ORT_API_VERSION) or newer.",
                    hint: "Run: make setup")
            }
            self.path = candidate
            self.version = version
            self.provider = provider
            self.api = api
            environment = try Self.makeEnvironment(api)
            let available = try providers()
            guard available.contains(provider.nativeName) else {
                throw VisemeError(
                    .unavailable,
                    "ONNX Runtime \(version) at \(candidate) has no \(provider.reportName) provider, only: \(available.joined(separator: ", ")).",
                    hint: provider.hint)
            }
            return
        }
        throw VisemeError(
            .unavailable, "ONNX Runtime was not found. Tried:\n  " + failures.joined(separator: "\n  "),
            hint: provider.hint)
    }

    /// The providers that the library was built with, by ONNX Runtime's names.
    public func providers() throws -> [String] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        var count: CInt = 0
        try Self.check(api, api.pointee.GetAvailableProviders(&names, &count), "listing the providers")
        let list = (0..<Int(count)).compactMap { names?[$0].map { String(cString: $0) } }
        try Self.check(api, api.pointee.ReleaseAvailableProviders(names, count), "listing the providers")
        return list
    }

    /// The places that are searched, in order.
    ///
    /// - Parameter folder: The folder below `.deps`.
    static func candidates(folder deps: String) -> [String] {
        #if os(macOS)
            let name = "libonnxruntime.dylib"
        #else
            let name = "libonnxruntime.so"
        #endif
        var places: [String] = []
        if let variable = ProcessInfo.processInfo.environment["VISEME_ONNXRUNTIME"], !variable.isEmpty {
            return [variable]  // who names a library wants that one, not another
        }
        let executable = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        // First, so that an installed program runs nothing out of the folder that it happens to be started in.
        if let executable { places.append(executable.appending(path: name).path) }
        places.append(FileManager.default.currentDirectoryPath + "/.deps/\(deps)/lib/" + name)
        if let executable {
            // .build/<triple>/<configuration>/viseme inside a checkout: look into the folders above.
            var folder = executable
            for _ in 0..<5 {
                folder = folder.deletingLastPathComponent()
                places.append(folder.appending(path: ".deps/\(deps)/lib/\(name)").path)
            }
        }
        return places + [name]
    }

    private static func makeEnvironment(_ api: UnsafePointer<VisemeOrtApi>) throws -> OpaquePointer {
        var environment: OpaquePointer?
        let status = api.pointee.CreateEnv(CInt(VISEME_ORT_LOGGING_ERROR), "viseme", &environment)
        try check(api, status, "creating the environment")
        guard let environment else { throw VisemeError(.internal, "ONNX Runtime gave no environment.") }
        try check(api, api.pointee.DisableTelemetryEvents(environment), "disabling telemetry")
        return environment
    }

    /// Turns a status into an error and releases it.
    static func check(
        _ api: UnsafePointer<VisemeOrtApi>, _ status: OpaquePointer?, _ action: @autoclosure () -> String,
        code: VisemeError.Code = .internal, hint: String? = nil
    ) throws {
        guard let status else { return }
        defer { api.pointee.ReleaseStatus(status) }
        let number = api.pointee.GetErrorCode(status)
        let message = api.pointee.GetErrorMessage(status).map { String(cString: $0) } ?? "no message"
        throw VisemeError(code, "ONNX Runtime failed at \(action()): \(message) (code \(number)).", hint: hint)
    }
}
