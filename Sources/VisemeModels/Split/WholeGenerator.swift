import Viseme

/// A generator that runs as a whole although it was to be split.
struct WholeGenerator: Generator {
    let generator: any Generator
    let reason: String
    var runtime: RuntimeDescription { generator.runtime }
    var imageSize: PixelSize { generator.imageSize }
    var keeping: TemplateKeeping { .nothing(because: reason) }

    func generate(image: [Float], audio: [Float]) async throws -> [Float] {
        try await generator.generate(image: image, audio: audio)
    }
}
