/// What a generator computes from a template frame alone, before any audio.
public struct TemplateFeatures: Sendable {
    /// Computed anew for every video frame: of a network that runs as a whole, the image itself.
    public var fresh: [Tensor]
    /// Worth keeping: the same for every video frame that shows this template frame.
    public var kept: [Tensor]

    /// Makes features.
    public init(fresh: [Tensor], kept: [Tensor] = []) {
        self.fresh = fresh
        self.kept = kept
    }
}

/// The memory for template features.
public struct TemplateBudget: Sendable, Equatable {
    /// Template frames of the avatar.
    public var frames: Int
    /// Bytes that the kept features of all of them may occupy.
    public var bytes: Int

    /// States a budget.
    public init(frames: Int, bytes: Int) {
        self.frames = frames
        self.bytes = bytes
    }
}

/// What a generator keeps of the template frames; printed in reports.
public struct TemplateKeeping: Sendable, Equatable, Codable {
    /// The tensors that are kept, by their names in the network.
    public var tensors: [String]
    /// Bytes a template frame.
    public var bytesPerFrame: Int
    /// Template frames that are kept: 0..<frames; the others are computed every time.
    public var frames: Int
    /// Why nothing is kept; nil where something is.
    public var reason: String?

    /// Describes what is kept.
    public init(tensors: [String], bytesPerFrame: Int, frames: Int) {
        self.tensors = tensors
        self.bytesPerFrame = bytesPerFrame
        self.frames = frames
    }

    /// Nothing is kept.
    public static func nothing(because reason: String) -> TemplateKeeping {
        var keeping = TemplateKeeping(tensors: [], bytesPerFrame: 0, frames: 0)
        keeping.reason = reason
        return keeping
    }
}

extension InferenceBackend {
    /// Loads generators that run as a whole, at the same time: they keep nothing, whatever they may.
    @concurrent public func generators(
        _ model: ModelFile, count: Int, threads: Int, template: TemplateBudget
    ) async throws -> [any Generator] {
        try await concurrently(count) { try await generator(model, threads: threads) }
    }
}

extension Generator {
    /// Nothing: the network runs as a whole.
    public var keeping: TemplateKeeping { .nothing(because: "\(runtime.runtime) runs the generator as a whole.") }

    /// The image as it is: the network runs as a whole.
    public func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures {
        TemplateFeatures(fresh: [Tensor("image", [1, 6, imageSize, imageSize], try image())])
    }

    /// Runs the network as a whole on the image that `prepare` passed on.
    public func generate(_ features: TemplateFeatures, audio: [Float]) async throws -> [Float] {
        guard let image = features.fresh.first?.floats else {
            throw VisemeError(.internal, "The generator was given no image.")
        }
        return try await generate(image: image, audio: audio)
    }
}
