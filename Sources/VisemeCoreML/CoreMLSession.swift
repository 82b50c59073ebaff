#if canImport(CoreML)
    import CoreML
    import Foundation
    import Viseme

    /// One loaded model on its own queue. Core ML's objects are made, used and dropped inside, so none has to be Sendable.
    actor CoreMLSession {
        /// Mel windows that go to Core ML at once: enough to keep the processor busy, and memory stays bounded.
        private static let batch = 32

        nonisolated let runtime: RuntimeDescription
        private let description: ModelDescription
        private let package: CompiledPackage
        private let units: ComputeUnits
        private let executor: BlockingExecutor
        private var model: MLModel?

        nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

        /// Prepares a session; `open` loads the model.
        init(_ description: ModelDescription, _ package: CompiledPackage, units: ComputeUnits) {
            self.description = description
            self.package = package
            self.units = units
            executor = BlockingExecutor("coreml.\(description.role.rawValue)")
            // Core ML has no version of its own: it is part of the system.
            runtime = RuntimeDescription(
                runtime: "Core ML", version: ProcessInfo.processInfo.operatingSystemVersionString,
                provider: units.title, threads: 0)
        }

        /// Loads the model and reads what it says of itself.
        ///
        /// - Throws: `.badData` when Core ML cannot load it.
        func open() throws -> ModelSignature {
            let configuration = MLModelConfiguration()
            configuration.computeUnits = units.coreML
            configuration.modelDisplayName = description.file
            let model: MLModel
            do {
                model = try MLModel(contentsOf: package.url, configuration: configuration)
            } catch {
                throw VisemeError(
                    .badData, "Core ML cannot load '\(description.file)' for \(units.title).",
                    hint: "Convert the model again, and check it: viseme inspect \(description.file)", cause: error)
            }
            self.model = model
            return try ModelSignature(model.modelDescription, of: description)
        }

        /// Runs the model.
        ///
        /// - Parameters:
        ///   - inputs: Every input with `count` times its values, row-major.
        ///   - count: How often to run it.
        ///   - output: The output.
        /// - Returns: `count` times the output's values, row-major.
        func run(_ inputs: [(tensor: ModelTensor, values: [Float])], count: Int, output: ModelTensor) throws
            -> [Float]
        {
            let size = output.count
            return try [Float](unsafeUninitializedCapacity: count * size) { result, initialized in
                for start in stride(from: 0, to: count, by: Self.batch) {
                    try Task.checkCancellation()
                    // Without a pool of our own the arrays of all batches would live until the queue's is drained.
                    try autoreleasepool {
                        let runs = start..<min(start + Self.batch, count)
                        let answers = try predict(try runs.map { try Self.features(inputs, run: $0) })
                        for (run, answer) in zip(runs, answers) {
                            let target = UnsafeMutableBufferPointer(rebasing: result[run * size..<(run + 1) * size])
                            try read(output, from: answer, into: target)
                        }
                    }
                }
                initialized = count * size
            }
        }

        /// Checks a model's first answer.
        ///
        /// - Throws: `.badData` when a value is not finite.
        static func requireFinite(_ values: [Float], of model: ModelDescription) throws {
            guard let index = values.firstIndex(where: { !$0.isFinite }) else { return }
            throw VisemeError(
                .badData,
                "'\(model.file)' (\(model.role.rawValue)) answers \(values[index].isNaN ? "NaN" : "infinity") at element \(index) in its first run; "
                    + "all \(values.count) must be finite.",
                hint:
                    "In Float16 this may be an overflow: convert with --precision fp32. See viseme doctor \(model.file)"
            )
        }

        private func predict(_ inputs: [any MLFeatureProvider]) throws -> [any MLFeatureProvider] {
            guard let model else { throw VisemeError(.internal, "'\(description.file)' was run before it was opened.") }
            let options = MLPredictionOptions()
            do {
                if inputs.count == 1 { return [try model.prediction(from: inputs[0], options: options)] }
                let answers = try model.predictions(from: MLArrayBatchProvider(array: inputs), options: options)
                guard answers.count == inputs.count else {
                    throw VisemeError(
                        .internal,
                        "Core ML gave \(answers.count) answers of '\(description.file)', expected \(inputs.count).")
                }
                return (0..<answers.count).map { answers.features(at: $0) }
            } catch let error as VisemeError {
                throw error
            } catch {
                throw VisemeError(
                    .internal, "Core ML failed at running '\(description.file)' on \(units.title).",
                    hint: "Compare with --compute-units \(ComputeUnits.cpuOnly.rawValue).", cause: error)
            }
        }

        /// The multi-arrays of one run.
        private static func features(_ inputs: [(tensor: ModelTensor, values: [Float])], run: Int) throws
            -> any MLFeatureProvider
        {
            var features: [String: MLFeatureValue] = [:]
            for (tensor, values) in inputs {
                let shape = tensor.single
                let size = shape.reduce(1, *)
                let array = try MLMultiArray(
                    shape: shape.map { NSNumber(value: $0) }, dataType: tensor.element.coreML)
                try values.withUnsafeBufferPointer { values in
                    try array.withUnsafeMutableBytes { bytes, strides in
                        let layout = try StridedLayout(shape: shape, strides: strides)
                        try layout.requireRoom(in: bytes.count, tensor.element, for: tensor.name)
                        layout.write(
                            UnsafeBufferPointer(rebasing: values[run * size..<(run + 1) * size]), into: bytes,
                            tensor.element)
                    }
                }
                features[tensor.name] = MLFeatureValue(multiArray: array)
            }
            return try MLDictionaryFeatureProvider(dictionary: features)
        }

        /// Copies an output's values out of Core ML's buffer, which may be padded and of another type than described.
        private func read(
            _ output: ModelTensor, from answer: any MLFeatureProvider, into target: UnsafeMutableBufferPointer<Float>
        ) throws {
            guard let array = answer.featureValue(for: output.name)?.multiArrayValue else {
                throw VisemeError(.internal, "'\(description.file)' gave no multi-array '\(output.name)'.")
            }
            let shape = array.shape.map(\.intValue)
            guard shape == output.single, let element = TensorElement(array.dataType) else {
                throw VisemeError(
                    .badData,
                    "'\(output.name)' of '\(description.file)' came as \(shape) of type \(array.dataType.rawValue), expected "
                        + "\(output.single) of Float32 (\(MLMultiArrayDataType.float32.rawValue)) or Float16.",
                    hint: "The model's graph does not fit its declared shapes: convert it again.")
            }
            let layout = try StridedLayout(shape: shape, strides: array.strides.map(\.intValue))
            try array.withUnsafeBytes { bytes in
                try layout.requireRoom(in: bytes.count, element, for: output.name)
                layout.read(bytes, element, into: target)
            }
        }
    }
#endif
