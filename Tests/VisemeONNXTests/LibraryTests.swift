import COnnxRuntime
import Foundation
import Testing
import VisemeTestSupport
import Viseme

@testable import VisemeONNX

@Suite("ONNX Runtime library", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct LibraryTests {
    @Test("It is opened from a path and names its version")
    func opens() throws {
        let library = try Runtime.backend().library
        #expect(library.path == Repository.onnxRuntime)
        let parts = library.version.split(separator: ".").compactMap { Int($0) }
        #expect(parts.count >= 2 && parts[0] == 1 && parts[1] >= VISEME_ORT_API_VERSION)
    }

    @Test("Every entry of our API table does what its name says")
    func everyEntry() throws {
        let library = try Runtime.backend().library
        let api = library.api.pointee
        func succeed(_ status: OpaquePointer?, _ entry: String) {
            if let status {
                Issue.record("\(entry): \(api.GetErrorMessage(status).map { String(cString: $0) } ?? "")")
                api.ReleaseStatus(status)
            }
        }
        var environment: OpaquePointer?
        succeed(api.CreateEnv(CInt(VISEME_ORT_LOGGING_ERROR), "test", &environment), "CreateEnv")
        succeed(api.DisableTelemetryEvents(environment), "DisableTelemetryEvents")
        var options: OpaquePointer?
        succeed(api.CreateSessionOptions(&options), "CreateSessionOptions")
        succeed(api.SetSessionLogSeverityLevel(options, CInt(VISEME_ORT_LOGGING_ERROR)), "SetSessionLogSeverityLevel")
        succeed(
            api.SetSessionGraphOptimizationLevel(options, CInt(VISEME_ORT_OPTIMIZE_ALL)),
            "SetSessionGraphOptimizationLevel")
        succeed(api.SetIntraOpNumThreads(options, 1), "SetIntraOpNumThreads")
        succeed(api.DisableMemPattern(options), "DisableMemPattern")
        succeed(api.SetInterOpNumThreads(options, 1), "SetInterOpNumThreads")
        succeed(
            api.AddSessionConfigEntry(options, "session.disable_cpu_ep_fallback", "0"), "AddSessionConfigEntry")
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        var providers: CInt = 0
        succeed(api.GetAvailableProviders(&names, &providers), "GetAvailableProviders")
        #expect((0..<Int(providers)).contains { names?[$0].map { String(cString: $0) } == "CPUExecutionProvider" })
        succeed(api.ReleaseAvailableProviders(names, providers), "ReleaseAvailableProviders")
        let unknown = api.SessionOptionsAppendExecutionProvider(options, "Abacus", nil, nil, 0)
        #expect(unknown != nil)
        api.ReleaseStatus(unknown)

        // A status: garbage is refused with a code and words.
        var session: OpaquePointer?
        let failure = "not a model".withCString { api.CreateSessionFromArray(environment, $0, 11, options, &session) }
        #expect(failure != nil && session == nil)
        #expect(api.GetErrorCode(failure) != 0)
        #expect(api.GetErrorMessage(failure).map { String(cString: $0) }?.isEmpty == false)
        api.ReleaseStatus(failure)

        let data = try Data(contentsOf: Runtime.model("encoder.onnx"))
        succeed(
            data.withUnsafeBytes {
                api.CreateSessionFromArray(environment, $0.baseAddress, $0.count, options, &session)
            },
            "CreateSessionFromArray")
        try #require(session != nil)
        var count = 0
        succeed(api.SessionGetInputCount(session, &count), "SessionGetInputCount")
        #expect(count == 1)
        succeed(api.SessionGetOutputCount(session, &count), "SessionGetOutputCount")
        #expect(count == 1)

        var allocator: OpaquePointer?
        succeed(api.GetAllocatorWithDefaultOptions(&allocator), "GetAllocatorWithDefaultOptions")
        for (isInput, expected) in [(true, "mel"), (false, "emb")] {
            var text: UnsafeMutablePointer<CChar>?
            succeed(
                isInput
                    ? api.SessionGetInputName(session, 0, allocator, &text)
                    : api.SessionGetOutputName(session, 0, allocator, &text),
                "SessionGet…Name")
            #expect(text.map { String(cString: $0) } == expected)
            succeed(api.AllocatorFree(allocator, text), "AllocatorFree")
        }
        for (isInput, expected) in [(true, [-1, 1, 80, 16] as [Int64]), (false, [-1, 512])] {
            var info: OpaquePointer?
            succeed(
                isInput
                    ? api.SessionGetInputTypeInfo(session, 0, &info) : api.SessionGetOutputTypeInfo(session, 0, &info),
                "SessionGet…TypeInfo")
            var tensor: OpaquePointer?
            succeed(api.CastTypeInfoToTensorInfo(info, &tensor), "CastTypeInfoToTensorInfo")
            var type: CInt = 0
            succeed(api.GetTensorElementType(tensor, &type), "GetTensorElementType")
            #expect(type == CInt(VISEME_ORT_FLOAT))
            var rank = 0
            succeed(api.GetDimensionsCount(tensor, &rank), "GetDimensionsCount")
            var lengths = [Int64](repeating: 0, count: rank)
            succeed(api.GetDimensions(tensor, &lengths, rank), "GetDimensions")
            #expect(lengths == expected)
            api.ReleaseTypeInfo(info)
        }

        var memory: OpaquePointer?
        succeed(
            api.CreateCpuMemoryInfo(CInt(VISEME_ORT_ARENA_ALLOCATOR), CInt(VISEME_ORT_MEMORY_DEFAULT), &memory),
            "CreateCpuMemoryInfo")
        var values = try Runtime.floats("encoder.input.f32")
        let expected = try Runtime.floats("encoder.output.f32")
        values.withUnsafeMutableBufferPointer { buffer in
            var input: OpaquePointer?
            succeed(
                api.CreateTensorWithDataAsOrtValue(
                    memory, buffer.baseAddress, buffer.count * 4, [3, 1, 80, 16], 4, CInt(VISEME_ORT_FLOAT), &input),
                "CreateTensorWithDataAsOrtValue")
            var isTensor: CInt = 0
            succeed(api.IsTensor(input, &isTensor), "IsTensor")
            #expect(isTensor == 1)
            var output: OpaquePointer?
            "mel".withCString { mel in
                "emb".withCString { emb in
                    succeed(api.Run(session, nil, [mel], [input], 1, [emb], 1, &output), "Run")
                }
            }
            var shape: OpaquePointer?
            succeed(api.GetTensorTypeAndShape(output, &shape), "GetTensorTypeAndShape")
            var elements = 0
            succeed(api.GetTensorShapeElementCount(shape, &elements), "GetTensorShapeElementCount")
            #expect(elements == expected.count)
            api.ReleaseTensorTypeAndShapeInfo(shape)
            var raw: UnsafeMutableRawPointer?
            succeed(api.GetTensorMutableData(output, &raw), "GetTensorMutableData")
            if let raw {
                let result = UnsafeBufferPointer(start: raw.assumingMemoryBound(to: Float.self), count: expected.count)
                #expect(zip(result, expected).allSatisfy { abs($0 - $1) < 1e-4 })
            }
            api.ReleaseValue(output)
            api.ReleaseValue(input)
        }
        api.ReleaseMemoryInfo(memory)
        api.ReleaseSession(session)
        api.ReleaseSessionOptions(options)
        api.ReleaseEnv(environment)
    }
}

@Suite("Search for ONNX Runtime")
struct SearchTests {
    @Test("A miss lists every path that was tried and says what to do")
    func miss() {
        let error = #expect(throws: VisemeError.self) { try ONNXRuntimeLibrary(path: "/nowhere/libonnxruntime.so") }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("/nowhere/libonnxruntime.so: no such file") == true)
        #expect(error?.hint?.contains("make setup") == true)
    }

    @Test("The search goes through the executable's folder, .deps and the system, unless the variable names a library")
    func order() {
        let places = ONNXRuntimeLibrary.candidates(folder: "onnxruntime")
        if let named = ProcessInfo.processInfo.environment["VISEME_ONNXRUNTIME"], !named.isEmpty {
            #expect(places == [named])
        } else {
            // An installed program must not run a library that lies in the working folder.
            let own = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent().path ?? ""
            let working = FileManager.default.currentDirectoryPath
            #expect(
                places.prefix(2) == [
                    "\(own)/\(Repository.libraryName)", "\(working)/.deps/onnxruntime/lib/\(Repository.libraryName)",
                ])
            #expect(places.last == Repository.libraryName)
            #expect(places.count >= 3)
        }
    }

    @Test(
        "A provider that the library lacks is an error that says what it has",
        arguments: [ExecutionProvider.openvino, .cuda])
    func absentProvider(provider: ExecutionProvider) throws {
        let path = try Runtime.backend().library.path
        let error = #expect(throws: VisemeError.self) { try ONNXRuntimeLibrary(path: path, provider: provider) }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains(provider.reportName) == true)
        #expect(error?.message.contains("CPUExecutionProvider") == true)
        #expect(error?.hint?.isEmpty == false)
    }

    @Test(
        "OpenVINO runs a whole model, as the CPU does, and says so",
        .enabled(if: Repository.openVINO != nil, "OpenVINO is not in .deps: run make setup PROVIDER=openvino"))
    func openVINO() async throws {
        let backend = try ONNXBackend(libraryPath: Repository.openVINO, provider: .openvino)
        let model = ModelFile(
            try Runtime.backend().describe(.audioEncoder, at: Runtime.model("encoder.onnx")),
            at: Runtime.model("encoder.onnx"))
        let encoder = try await backend.audioEncoder(model, threads: 1)
        #expect(encoder.runtime.provider == "OpenVINO")
        let rows = try await encoder.encode(try Runtime.floats("encoder.input.f32"), count: 3)
        let expected = try Runtime.floats("encoder.output.f32")
        #expect(zip(rows, expected).allSatisfy { abs($0.0 - $0.1) <= 1e-3 * max(1, abs($0.1)) })
    }

    @Test("A file that is no library, and a library that is another, are told apart")
    func wrongLibrary() {
        let text = #expect(throws: VisemeError.self) {
            try ONNXRuntimeLibrary(path: Runtime.model("broken-garbage.onnx").path)
        }
        #expect(text?.code == .unavailable)
        #expect(text?.message.contains("broken-garbage.onnx") == true)
        #if os(Linux)
            let other = #expect(throws: VisemeError.self) { try ONNXRuntimeLibrary(path: "libm.so.6") }
            #expect(other?.code == .unavailable)
            #expect(other?.message.contains("not ONNX Runtime") == true)
        #endif
    }
}
