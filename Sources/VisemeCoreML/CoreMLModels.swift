#if canImport(CoreML)
    import Viseme

    /// An audio encoder on Core ML.
    struct CoreMLAudioEncoder: AudioEncoder {
        private let session: CoreMLSession
        private let input: ModelTensor
        private let output: ModelTensor
        var runtime: RuntimeDescription { session.runtime }

        /// Opens the model, finds its tensors and runs it once.
        init(_ model: ModelDescription, _ session: CoreMLSession) async throws {
            let signature = try await session.open()
            self.session = session
            input = try ModelTensor.find(
                "mel input", like: [nil, 1, 80, 16], among: signature.inputs, declared: model.inputs, of: model)
            output = try ModelTensor.find(
                "features", like: [nil, 512], among: signature.outputs, declared: model.outputs, of: model)
            try signature.requireInputs([input], of: model)
            let silence = [Float](repeating: -4, count: 80 * 16)
            try CoreMLSession.requireFinite(try await encode(silence, count: 1), of: model)
        }

        func encode(_ windows: [Float], count: Int) async throws -> [Float] {
            precondition(windows.count == count * 80 * 16, "\(count) windows of 80×16 values")
            return try await session.run([(input, windows)], count: count, output: output)
        }
    }

    /// A generator on Core ML.
    struct CoreMLGenerator: Generator {
        private let session: CoreMLSession
        private let image: ModelTensor
        private let audio: ModelTensor
        private let output: ModelTensor
        let imageSize: Int
        var runtime: RuntimeDescription { session.runtime }

        /// Opens the model, finds its tensors and runs it once.
        init(_ model: ModelDescription, _ session: CoreMLSession) async throws {
            let signature = try await session.open()
            self.session = session
            image = try ModelTensor.find(
                "image input", like: [nil, 6, nil, nil], among: signature.inputs, declared: model.inputs, of: model)
            audio = try ModelTensor.find(
                "audio input", like: [nil, 32, 16, 16], among: signature.inputs, declared: model.inputs, of: model)
            let side = image.single[2]
            guard image.single[3] == side, (16...2048).contains(side) else {
                throw VisemeError(
                    .badData,
                    "Generator '\(model.file)' wants images \(image.description.shapeText), expected squares.",
                    hint: "This package is not a generator of this family.")
            }
            imageSize = side
            output = try ModelTensor.find(
                "mouth", like: [nil, 3, side, side], among: signature.outputs, declared: model.outputs, of: model)
            try signature.requireInputs([image, audio], of: model)
            let grey = [Float](repeating: 0.5, count: 6 * side * side)
            let silence = [Float](repeating: 0, count: 32 * 16 * 16)
            try CoreMLSession.requireFinite(try await generate(image: grey, audio: silence), of: model)
        }

        func generate(image pixels: [Float], audio window: [Float]) async throws -> [Float] {
            precondition(pixels.count == 6 * imageSize * imageSize, "6 planes of \(imageSize)×\(imageSize) values")
            precondition(window.count == 32 * 16 * 16, "16 rows of 512 values")
            return try await session.run([(image, pixels), (audio, window)], count: 1, output: output)
        }
    }
#endif
