#if canImport(CoreML)
    import Viseme

    /// An audio encoder on Core ML.
    struct CoreMLAudioEncoder: AudioEncoder {
        private let session: CoreMLSession
        private let mel: ModelTensor
        private let features: ModelTensor
        var runtime: RuntimeDescription { session.runtime }

        /// Opens the model, finds its tensors and runs it once.
        init(_ model: ModelFile, _ session: CoreMLSession) async throws {
            let tensors = try await session.open().bind(model.family.audioEncoder, of: model.description)
            self.session = session
            (mel, features) = (tensors(.mel), tensors(.features))
            let first = try await encode(model.family.silentMelWindow, count: 1)
            try CoreMLSession.requireFinite(first, of: model.description)
        }

        func encode(_ melWindows: [Float], count: Int) async throws -> [Float] {
            precondition(melWindows.count == count * mel.count, "\(count) mel windows of \(mel.count) values")
            return try await session.run([(mel, melWindows)], count: count, output: features)
        }
    }

    /// An articulator on Core ML.
    struct CoreMLArticulator: Articulator {
        private let session: CoreMLSession
        private let audio: ModelTensor
        private let articulation: ModelTensor
        var runtime: RuntimeDescription { session.runtime }

        /// Opens the model, finds its tensors and runs it once.
        init(_ model: ModelFile, _ session: CoreMLSession) async throws {
            guard let contract = model.family.articulator else {
                throw VisemeError(
                    .badData, "The family '\(model.family.name)' has no articulator: '\(model.description.file)'.",
                    hint: "Take it out of \"models\" in avatar.json, or correct \"family\".")
            }
            let tensors = try await session.open().bind(contract, of: model.description)
            self.session = session
            (audio, articulation) = (tensors(.audio), tensors(.articulation))
            let first = try await articulate([Float](repeating: 0, count: audio.count))
            try CoreMLSession.requireFinite(first, of: model.description)
        }

        func articulate(_ featureWindow: [Float]) async throws -> [Float] {
            precondition(featureWindow.count == audio.count, "feature windows of \(audio.count) values")
            return try await session.run([(audio, featureWindow)], count: 1, output: articulation)
        }
    }

    /// A generator on Core ML.
    struct CoreMLGenerator: Generator {
        private let session: CoreMLSession
        private let image: ModelTensor
        private let audio: ModelTensor
        private let mouth: ModelTensor
        let imageSize: PixelSize
        var runtime: RuntimeDescription { session.runtime }

        /// Opens the model, finds its tensors and runs it once.
        init(_ model: ModelFile, _ session: CoreMLSession) async throws {
            let tensors = try await session.open().bind(model.family.generator, of: model.description)
            self.session = session
            (image, audio, mouth) = (tensors(.image), tensors(.audio), tensors(.mouth))
            imageSize = PixelSize(width: image.single.last ?? 0, height: image.single.dropLast().last ?? 0)
            let grey = [Float](repeating: 0.5, count: image.count)
            let silence = [Float](repeating: 0, count: audio.count)
            try CoreMLSession.requireFinite(try await generate(image: grey, audio: silence), of: model.description)
        }

        func generate(image pixels: [Float], audio featureWindow: [Float]) async throws -> [Float] {
            precondition(pixels.count == image.count, "pictures of \(image.count) values")
            precondition(featureWindow.count == audio.count, "feature windows of \(audio.count) values")
            return try await session.run([(image, pixels), (audio, featureWindow)], count: 1, output: mouth)
        }
    }
#endif
