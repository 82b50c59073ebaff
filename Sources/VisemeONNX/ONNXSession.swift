import COnnxRuntime
import Foundation
import Viseme

/// One loaded model with its own thread. Native handles live and die with it and its lanes.
actor ONNXSession {
    /// The native session, shared by its lanes; released with the last of them.
    private final class Handle: Sendable {
        // Never changed; ONNX Runtime's sessions and memory descriptions may be used by several threads at a time.
        nonisolated(unsafe) let api: UnsafePointer<VisemeOrtApi>
        nonisolated(unsafe) let session: OpaquePointer
        nonisolated(unsafe) let memory: OpaquePointer

        init(api: UnsafePointer<VisemeOrtApi>, session: OpaquePointer, memory: OpaquePointer) {
            (self.api, self.session, self.memory) = (api, session, memory)
        }

        deinit {
            api.pointee.ReleaseSession(session)
            api.pointee.ReleaseMemoryInfo(memory)
        }
    }

    nonisolated let runtime: RuntimeDescription
    nonisolated let inputs: [TensorDescription]
    nonisolated let outputs: [TensorDescription]
    private nonisolated let library: ONNXRuntimeLibrary
    private nonisolated let handle: Handle
    private nonisolated let modelName: String
    private let executor: BlockingExecutor

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Loads a model from bytes that were already checked.
    init(_ model: ModelFile, library: ONNXRuntimeLibrary, threads: Int) throws {
        try self.init(model.read(), name: model.description.file, library: library, threads: threads)
    }

    /// Loads a model from its bytes.
    ///
    /// - Parameters:
    ///   - optimised: False to run the operations exactly as written.
    ///   - takesParts: Whether inputs and outputs may be Float16 or UInt8, as parts of a network pass them on.
    init(
        _ data: Data, name: String, library: ONNXRuntimeLibrary, threads: Int, optimised: Bool = true,
        takesParts: Bool = false
    ) throws {
        let api = library.api
        self.library = library
        modelName = name
        executor = BlockingExecutor("onnx.\(name)")
        runtime = RuntimeDescription(
            runtime: "ONNX Runtime", version: library.version, provider: library.provider.reportName, threads: threads)

        func check(_ status: OpaquePointer?, _ action: String) throws {
            try ONNXRuntimeLibrary.check(api, status, action)
        }
        var options: OpaquePointer?
        try check(api.pointee.CreateSessionOptions(&options), "creating session options")
        defer { api.pointee.ReleaseSessionOptions(options) }
        try check(api.pointee.SetIntraOpNumThreads(options, CInt(threads)), "setting the threads")
        try check(api.pointee.SetInterOpNumThreads(options, 1), "setting the threads")
        // A plan of all tensors in one block needs that block beside what the first run took: 45 MB of 115 on a generator of 320
        // pixels, for no time that could be measured.
        try check(api.pointee.DisableMemPattern(options), "choosing the memory plan")
        try check(
            api.pointee.SetSessionGraphOptimizationLevel(
                options, CInt(optimised ? VISEME_ORT_OPTIMIZE_ALL : VISEME_ORT_OPTIMIZE_NONE)), "setting the level")
        try check(
            api.pointee.SetSessionLogSeverityLevel(options, CInt(VISEME_ORT_LOGGING_ERROR)), "setting the log level")
        // Weights outside of the checked bytes would come from the current folder. Nothing can lie below this one.
        try check(
            api.pointee.AddSessionConfigEntry(
                options, "session.model_external_initializers_file_folder_path", "/dev/null"), "closing the folders")
        try Self.choose(library, options, threads: threads)

        var session: OpaquePointer?
        let status = data.withUnsafeBytes { bytes in
            api.pointee.CreateSessionFromArray(library.environment, bytes.baseAddress, bytes.count, options, &session)
        }
        try ONNXRuntimeLibrary.check(
            api, status, "loading '\(name)'", code: .badData,
            hint:
                "Is it in one file? viseme avatar import puts weights inside that lie beside it. Otherwise it is not a model that ONNX Runtime can run: export it again."
        )
        guard let session else { throw VisemeError(.internal, "ONNX Runtime gave no session.") }
        var memory: OpaquePointer?
        do {
            try check(
                api.pointee.CreateCpuMemoryInfo(
                    CInt(VISEME_ORT_ARENA_ALLOCATOR), CInt(VISEME_ORT_MEMORY_DEFAULT), &memory),
                "describing memory")
            inputs = try Self.describe(api, session, isInput: true, takesParts, file: modelName)
            outputs = try Self.describe(api, session, isInput: false, takesParts, file: modelName)
        } catch {
            api.pointee.ReleaseSession(session)
            if let memory { api.pointee.ReleaseMemoryInfo(memory) }
            throw error
        }
        guard let memory else { throw VisemeError(.internal, "ONNX Runtime gave no memory description.") }
        handle = Handle(api: api, session: session, memory: memory)
    }

    private init(laneOf other: ONNXSession) {
        (runtime, inputs, outputs) = (other.runtime, other.inputs, other.outputs)
        (library, handle, modelName) = (other.library, other.handle, other.modelName)
        executor = BlockingExecutor("onnx.\(modelName)")
    }

    /// The same model with another thread: it runs beside this one, and shares its weights.
    nonisolated func lane() -> ONNXSession { ONNXSession(laneOf: self) }

    /// Gives all nodes to the provider: one that it does not take is an error of loading.
    private static func choose(_ library: ONNXRuntimeLibrary, _ options: OpaquePointer?, threads: Int) throws {
        let (api, provider) = (library.api, library.provider)
        let hint = provider.hint
        switch provider {
        case .cpu: return
        case .openvino:
            let settings = [("device_type", "CPU"), ("num_of_threads", String(threads)), ("num_streams", "1")]
            let texts = (["OpenVINO"] + settings.map(\.0) + settings.map(\.1)).map { UnsafePointer(strdup($0)) }
            defer { texts.forEach { free(UnsafeMutablePointer(mutating: $0)) } }
            try ONNXRuntimeLibrary.check(
                api,
                api.pointee.SessionOptionsAppendExecutionProvider(
                    options, texts[0], Array(texts[1...settings.count]), Array(texts[(settings.count + 1)...]),
                    settings.count),
                "choosing OpenVINO", code: .unavailable, hint: hint)
        case .cuda:
            var cuda: OpaquePointer?
            try ONNXRuntimeLibrary.check(
                api, api.pointee.CreateCUDAProviderOptions(&cuda), "choosing CUDA", code: .unavailable, hint: hint)
            defer { api.pointee.ReleaseCUDAProviderOptions(cuda) }
            try ONNXRuntimeLibrary.check(
                api, api.pointee.SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda), "choosing CUDA",
                code: .unavailable, hint: hint)
        }
        try ONNXRuntimeLibrary.check(
            api, api.pointee.AddSessionConfigEntry(options, "session.disable_cpu_ep_fallback", "1"),
            "choosing \(provider.reportName)")
    }

    /// Runs the model once, on the tensors' own memory: nothing is copied on the way in or out.
    func run(_ inputs: [Tensor], outputs: [TensorSlot]) throws -> [Tensor] {
        try Self.run(handle.api, handle.session, handle.memory, modelName, inputs: inputs, outputs: outputs)
    }

    /// The native call itself, free of actor state. The caller keeps the handles alive.
    private static func run(
        _ api: UnsafePointer<VisemeOrtApi>, _ session: OpaquePointer, _ memory: OpaquePointer, _ modelName: String,
        inputs: [Tensor], outputs: [TensorSlot]
    ) throws -> [Tensor] {
        var values: [OpaquePointer?] = []
        defer { for value in values { api.pointee.ReleaseValue(value) } }
        func bind(_ slot: TensorSlot, _ bytes: UnsafeMutableRawPointer?) throws {
            var value: OpaquePointer?
            try ONNXRuntimeLibrary.check(
                api,
                api.pointee.CreateTensorWithDataAsOrtValue(
                    memory, bytes, slot.byteCount, slot.shape.map(Int64.init), slot.shape.count,
                    slot.element.native, &value),
                "binding '\(slot.name)' of '\(modelName)'")
            values.append(value)
        }
        let names = (inputs.map(\.slot.name) + outputs.map(\.name)).map { UnsafePointer(strdup($0)) }
        defer { names.forEach { free(UnsafeMutablePointer(mutating: $0)) } }
        // ONNX Runtime uses these buffers only during the run, and only reads the inputs.
        return try reading(inputs[...]) { sources in
            for (input, source) in zip(inputs, sources) {
                try bind(input.slot, UnsafeMutableRawPointer(mutating: source))
            }
            return try filling(outputs[...]) { targets in
                for (output, target) in zip(outputs, targets) { try bind(output, target) }
                let inputNames = Array(names[..<inputs.count])
                var outputNames = Array(names[inputs.count...])
                var made = Array(values[inputs.count...])
                let status = api.pointee.Run(
                    session, nil, inputNames, Array(values[..<inputs.count]), inputs.count, &outputNames,
                    outputs.count, &made)
                try ONNXRuntimeLibrary.check(
                    api, status, "running '\(modelName)'", code: .badData,
                    hint: "The model's graph does not fit its declared shapes: export it again.")
            }
        }
    }

    /// Calls `body` with the addresses of all tensors, which stay valid while it runs.
    private static func reading<Result>(
        _ tensors: ArraySlice<Tensor>, _ found: [UnsafeRawPointer?] = [],
        _ body: ([UnsafeRawPointer?]) throws -> Result
    ) throws -> Result {
        guard let first = tensors.first else { return try body(found) }
        return try first.withUnsafeBytes { try reading(tensors.dropFirst(), found + [$0.baseAddress], body) }
    }

    /// Makes tensors that `body` fills; it must write every value.
    private static func filling(
        _ slots: ArraySlice<TensorSlot>, _ found: [UnsafeMutableRawPointer?] = [],
        _ body: ([UnsafeMutableRawPointer?]) throws -> Void
    ) throws -> [Tensor] {
        guard let slot = slots.first else {
            try body(found)
            return []
        }
        var rest: [Tensor] = []
        func filled<Value>() throws -> [Value] {
            try [Value](unsafeUninitializedCapacity: slot.count) { buffer, count in
                rest = try filling(slots.dropFirst(), found + [UnsafeMutableRawPointer(buffer.baseAddress)], body)
                count = slot.count
            }
        }
        let values: Tensor.Values =
            switch slot.element {
            case .float32: .float32(try filled())
            case .float16: .float16(try filled())
            case .uint8: .uint8(try filled())
            }
        return [Tensor(slot, values)] + rest
    }

    private static func describe(
        _ api: UnsafePointer<VisemeOrtApi>, _ session: OpaquePointer, isInput: Bool, _ takesParts: Bool, file: String
    ) throws -> [TensorDescription] {
        func check(_ status: OpaquePointer?) throws {
            try ONNXRuntimeLibrary.check(api, status, "describing '\(file)'")
        }
        var allocator: OpaquePointer?
        try check(api.pointee.GetAllocatorWithDefaultOptions(&allocator))
        var count = 0
        try check(
            isInput
                ? api.pointee.SessionGetInputCount(session, &count) : api.pointee.SessionGetOutputCount(session, &count)
        )
        return try (0..<count).map { index in
            var text: UnsafeMutablePointer<CChar>?
            try check(
                isInput
                    ? api.pointee.SessionGetInputName(session, index, allocator, &text)
                    : api.pointee.SessionGetOutputName(session, index, allocator, &text))
            guard let text else { throw VisemeError(.badData, "'\(file)' has a tensor without a name.") }
            let name = String(cString: text)
            try check(api.pointee.AllocatorFree(allocator, text))

            var info: OpaquePointer?
            try check(
                isInput
                    ? api.pointee.SessionGetInputTypeInfo(session, index, &info)
                    : api.pointee.SessionGetOutputTypeInfo(session, index, &info))
            defer { api.pointee.ReleaseTypeInfo(info) }
            var tensor: OpaquePointer?
            try check(api.pointee.CastTypeInfoToTensorInfo(info, &tensor))
            guard let tensor else { throw VisemeError(.badData, "'\(name)' of '\(file)' is not a tensor.") }
            var type: CInt = 0
            try check(api.pointee.GetTensorElementType(tensor, &type))
            let wanted: [TensorSlot.Element] = takesParts ? [.float32, .float16, .uint8] : [.float32]
            guard wanted.contains(where: { $0.native == type }) else {
                throw VisemeError(
                    .badData, "'\(name)' of '\(file)' has element type \(type), expected float32 (1).",
                    hint: "Export the model with Float32 inputs and outputs.")
            }
            var rank = 0
            try check(api.pointee.GetDimensionsCount(tensor, &rank))
            var lengths = [Int64](repeating: 0, count: rank)
            try check(api.pointee.GetDimensions(tensor, &lengths, rank))
            return TensorDescription(name: name, shape: lengths.map { $0 < 0 ? .batch : .fixed(Int($0)) })
        }
    }
}

extension TensorSlot.Element {
    /// ONNX Runtime's number for it.
    fileprivate var native: CInt {
        switch self {
        case .float32: CInt(VISEME_ORT_FLOAT)
        case .float16: CInt(VISEME_ORT_FLOAT16)
        case .uint8: CInt(VISEME_ORT_UINT8)
        }
    }
}
