import COnnxRuntime
import Foundation
import Viseme

/// One loaded model with its own thread. Native handles live and die with it.
actor OnnxSession {
    /// The native session; released with its owner.
    private struct Handle: ~Copyable {
        let api: UnsafePointer<VisemeOrtApi>
        let session: OpaquePointer
        let memory: OpaquePointer

        deinit {
            api.pointee.ReleaseSession(session)
            api.pointee.ReleaseMemoryInfo(memory)
        }
    }

    nonisolated let runtime: RuntimeDescription
    nonisolated let inputs: [TensorDescription]
    nonisolated let outputs: [TensorDescription]
    private let library: OnnxRuntimeLibrary
    private let handle: Handle
    private let modelName: String
    private let executor: BlockingExecutor

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Loads a model from bytes that were already checked.
    init(_ model: ModelFile, library: OnnxRuntimeLibrary, threads: Int) throws {
        try self.init(model.read(), name: model.description.file, library: library, threads: threads)
    }

    /// Loads a model from its bytes.
    ///
    /// - Parameter optimised: False to run the operations exactly as written.
    init(_ data: Data, name: String, library: OnnxRuntimeLibrary, threads: Int, optimised: Bool = true) throws {
        let api = library.api
        self.library = library
        modelName = name
        executor = BlockingExecutor("onnx.\(name)")
        runtime = RuntimeDescription(
            runtime: "ONNX Runtime", version: library.version, provider: "CPU", threads: threads)

        func check(_ status: OpaquePointer?, _ action: String) throws {
            try OnnxRuntimeLibrary.check(api, status, action)
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

        var session: OpaquePointer?
        let status = data.withUnsafeBytes { bytes in
            api.pointee.CreateSessionFromArray(library.environment, bytes.baseAddress, bytes.count, options, &session)
        }
        try OnnxRuntimeLibrary.check(
            api, status, "loading '\(name)'", code: .badData,
            hint: "The file is not a model that ONNX Runtime can run: export it again.")
        guard let session else { throw VisemeError(.internal, "ONNX Runtime gave no session.") }
        var memory: OpaquePointer?
        do {
            try check(
                api.pointee.CreateCpuMemoryInfo(
                    CInt(VISEME_ORT_ARENA_ALLOCATOR), CInt(VISEME_ORT_MEMORY_DEFAULT), &memory),
                "describing memory")
            inputs = try Self.describe(api, session, isInput: true, file: modelName)
            outputs = try Self.describe(api, session, isInput: false, file: modelName)
        } catch {
            api.pointee.ReleaseSession(session)
            if let memory { api.pointee.ReleaseMemoryInfo(memory) }
            throw error
        }
        guard let memory else { throw VisemeError(.internal, "ONNX Runtime gave no memory description.") }
        handle = Handle(api: api, session: session, memory: memory)
    }

    /// Runs the model once.
    ///
    /// - Parameters:
    ///   - inputs: Name, values and shape of every input.
    ///   - outputs: Name and shape of every wanted output.
    /// - Returns: The outputs' values, row-major.
    func run(inputs: [(name: String, values: [Float], shape: [Int])], outputs: [(name: String, shape: [Int])]) throws
        -> [[Float]]
    {
        try Self.run(handle.api, handle.session, handle.memory, modelName, inputs: inputs, outputs: outputs)
    }

    /// The native call itself, free of actor state. The caller keeps the handles alive.
    private static func run(
        _ api: UnsafePointer<VisemeOrtApi>, _ session: OpaquePointer, _ memory: OpaquePointer, _ modelName: String,
        inputs: [(name: String, values: [Float], shape: [Int])], outputs: [(name: String, shape: [Int])]
    ) throws -> [[Float]] {
        var values: [OpaquePointer?] = []
        defer { for value in values { api.pointee.ReleaseValue(value) } }
        // ONNX Runtime reads and writes buffers that must outlive the run: this call owns them.
        var buffers: [UnsafeMutableBufferPointer<Float>] = []
        defer { for buffer in buffers { buffer.deallocate() } }
        func bind(_ name: String, _ shape: [Int], _ buffer: UnsafeMutableBufferPointer<Float>) throws {
            buffers.append(buffer)
            precondition(buffer.count == shape.reduce(1, *), "\(name): \(buffer.count) values for shape \(shape)")
            var value: OpaquePointer?
            try OnnxRuntimeLibrary.check(
                api,
                api.pointee.CreateTensorWithDataAsOrtValue(
                    memory, buffer.baseAddress, buffer.count * MemoryLayout<Float>.stride, shape.map(Int64.init),
                    shape.count, CInt(VISEME_ORT_FLOAT), &value),
                "binding '\(name)' of '\(modelName)'")
            values.append(value)
        }
        for input in inputs {
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: input.values.count)
            _ = buffer.initialize(from: input.values)
            try bind(input.name, input.shape, buffer)
        }
        for output in outputs {
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: output.shape.reduce(1, *))
            buffer.initialize(repeating: 0)
            try bind(output.name, output.shape, buffer)
        }
        let names = (inputs.map(\.name) + outputs.map(\.name)).map { UnsafePointer(strdup($0)) }
        defer { names.forEach { free(UnsafeMutablePointer(mutating: $0)) } }
        let inputNames = Array(names[..<inputs.count])
        var outputNames = Array(names[inputs.count...])
        var targets = Array(values[inputs.count...])
        let status = api.pointee.Run(
            session, nil, inputNames, Array(values[..<inputs.count]), inputs.count, &outputNames, outputs.count,
            &targets)
        try OnnxRuntimeLibrary.check(
            api, status, "running '\(modelName)'", code: .badData,
            hint: "The model's graph does not fit its declared shapes: export it again.")
        return buffers[inputs.count...].map { Array($0) }
    }

    private static func describe(
        _ api: UnsafePointer<VisemeOrtApi>, _ session: OpaquePointer, isInput: Bool, file: String
    ) throws -> [TensorDescription] {
        func check(_ status: OpaquePointer?) throws {
            try OnnxRuntimeLibrary.check(api, status, "describing '\(file)'")
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
            guard type == CInt(VISEME_ORT_FLOAT) else {
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
