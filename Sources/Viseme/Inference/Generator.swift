/// Redraws the mouth of a roi for a feature window.
public protocol Generator: Sendable {
    /// The runtime.
    var runtime: RuntimeDescription { get }
    /// Width and height of its pictures.
    var imageSize: PixelSize { get }

    /// Draws one mouth.
    ///
    /// - Parameters:
    ///   - image: (1, 6, H, W) row-major: roi B G R, masked roi B G R, 0…1.
    ///   - audio: The values of the feature window, row-major.
    /// - Returns: (1, 3, H, W) row-major, B G R in 0…1.
    func generate(image: [Float], audio: [Float]) async throws -> [Float]

    /// What is kept of the template frames.
    var keeping: TemplateKeeping { get }

    /// The first of two steps: what depends on the template frame alone.
    ///
    /// - Parameters:
    ///   - image: Gives the image of `generate(image:audio:)`; called only when something has to be computed.
    ///   - kept: What an earlier call for this template frame said is worth keeping, or nil.
    func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures

    /// The second step: draws one mouth, as `generate(image:audio:)` does.
    func generate(_ features: TemplateFeatures, audio: [Float]) async throws -> [Float]
}

extension Generator {
    /// Nothing: the network runs as a whole.
    public var keeping: TemplateKeeping { .nothing(because: "\(runtime.runtime) runs the generator as a whole.") }

    /// The image as it is: the network runs as a whole.
    public func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures {
        let image = try image()
        return TemplateFeatures(fresh: [Tensor("image", [image.count], image)])
    }

    /// Runs the network as a whole on the image that `prepare` passed on.
    public func generate(_ features: TemplateFeatures, audio: [Float]) async throws -> [Float] {
        guard let image = features.fresh.first?.floats else {
            throw VisemeError(.internal, "The generator was given no image.")
        }
        return try await generate(image: image, audio: audio)
    }
}
