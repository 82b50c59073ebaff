#if canImport(CoreML)
    public import Viseme

    /// Runs models with Core ML, on Apple systems.
    ///
    /// A model is a package (`NAME.mlpackage`) or a package that was compiled before (`NAME.mlmodelc`). Its tensors are found
    /// by role and axes, as multi-arrays of Float32 or Float16; mel windows go to Core ML in batches. Every model has its own
    /// queue, so that a prediction never blocks the threads of Swift's shared pool, and is run once at load.
    ///
    /// Core ML chooses its own threads: the protocol's `threads` has no effect, and `RuntimeDescription.threads` is 0.
    public struct CoreMLBackend: InferenceBackend {
        /// What may be said of this backend until a Mac or an iPhone has run it. Programs print it where they offer it.
        public static let maturity = "written, not executed: no Apple system has run this backend yet"

        /// "coreml".
        public let name = "coreml"
        /// The processors that the models may use.
        public let units: ComputeUnits
        private let packages = CompiledPackages()

        /// Chooses the processors.
        ///
        /// - Parameter units: What Core ML may use. By default the CPU and the Neural Engine: that is where a Float16 package
        ///   runs fastest for the least energy, it leaves the GPU to the app, and iOS allows it in the background.
        /// - Throws: `.unavailable` when this machine lacks a processor of the set. There is no fallback.
        public init(units: ComputeUnits = .cpuAndNeuralEngine) throws {
            try units.requireDevices()
            self.units = units
        }

        /// Loads an audio encoder of the model's family, for one mel window or any number.
        public func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
            let session = CoreMLSession(model.description, try await packages.compiled(model), units: units)
            return try await CoreMLAudioEncoder(model, session)
        }

        /// Loads an articulator of the model's family.
        public func articulator(_ model: ModelFile, threads: Int) async throws -> any Articulator {
            let session = CoreMLSession(model.description, try await packages.compiled(model), units: units)
            return try await CoreMLArticulator(model, session)
        }

        /// Loads a generator of the model's family.
        public func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
            let session = CoreMLSession(model.description, try await packages.compiled(model), units: units)
            return try await CoreMLGenerator(model, session)
        }
    }
#endif
