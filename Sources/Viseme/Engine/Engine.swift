/// Speech in, frames out: an avatar with its models loaded.
///
/// ```swift
/// let avatar = try Avatar(contentsOf: packURL)
/// let engine = try await Engine(avatar, backend: ONNXBackend(), media: FFmpeg())
/// for try await frame in engine.frames(for: try await FFmpeg().speech(at: audioURL)) { show(frame.image) }
/// ```
public struct Engine: Sendable {
    /// The avatar.
    public let avatar: Avatar
    /// How the cores are shared.
    public let parallelism: Parallelism

    let encoder: any AudioEncoder
    let generators: [any Generator]
    let template: TemplateSource

    /// Loads the avatar's models and opens its template.
    ///
    /// - Parameters:
    ///   - avatar: The pack.
    ///   - backend: What runs the models.
    ///   - media: What decodes the template.
    ///   - memory: Bytes for decoded template frames, 200 MB by default.
    ///   - parallelism: How the cores are shared.
    /// - Throws: whatever is wrong with the pack's models or template, by name.
    public init(
        _ avatar: Avatar, backend: any InferenceBackend, media: any MediaBackend, memory: Int = 200_000_000,
        parallelism: Parallelism = Parallelism()
    ) async throws {
        self.avatar = avatar
        self.parallelism = parallelism
        template = try await TemplateSource(avatar, media: media, memory: memory)
        encoder = try await backend.audioEncoder(try avatar.model(.audioEncoder), threads: parallelism.threads)
        let generatorFile = try avatar.model(.generator)
        var generators: [any Generator] = []
        for _ in 0..<parallelism.width {
            generators.append(try await backend.generator(generatorFile, threads: parallelism.threads))
        }
        self.generators = generators
        for generator in generators where generator.imageSize != avatar.manifest.geometry.roi {
            throw VisemeError(
                .badData,
                "The generator draws \(generator.imageSize)-pixel images, the pack's roi has \(avatar.manifest.geometry.roi) pixels.",
                hint: "The pack's geometry and its generator belong to different model variants.")
        }
    }

    /// What runs the audio encoder and the generator.
    public var runtimes: (audioEncoder: RuntimeDescription, generator: RuntimeDescription) {
        (encoder.runtime, generators[0].runtime)
    }

    /// The talking head for some speech, one frame after the other. Frames are made as they are asked for.
    ///
    /// The same speech gives the same frames; a range rendered alone equals that range of the whole.
    ///
    /// - Parameters:
    ///   - speech: The audio; it is read as far as the frames need it.
    ///   - range: The frames wanted, all by default.
    public func frames(for speech: any SpeechReader, range: Range<Int> = 0..<Int.max) -> Frames {
        Frames(engine: self, speech: speech, range: range)
    }

    /// Draws one frame. Pure: the same job gives the same image.
    func draw(_ job: FrameJob) async throws -> Frame {
        var clock = StageClock()
        let index = avatar.templateIndex(ofFrame: job.index)
        let template = try await template.frame(at: index)
        clock.end(.template)
        let compositor = Compositor(avatar.manifest.geometry)
        let square = avatar.square(ofTemplateFrame: index)
        let crop = template.crop ?? compositor.crop(template.image, at: square)
        let roi = template.roi ?? compositor.roi(of: crop)
        let input = compositor.generatorInput(roi: roi, masked: template.masked ?? compositor.masked(roi))
        clock.end(.crop)
        let mouth = try await generators[job.index % generators.count].generate(image: input, audio: job.window)
        clock.end(.generate)
        let image = try compositor.paste(mouth: mouth, crop: crop, into: template.image, at: square)
        clock.end(.paste)
        return Frame(index: job.index, image: image, square: square, durations: clock.durations)
    }
}

/// One frame of the talking head.
public struct Frame: Sendable {
    /// Frame number; it belongs to audio [index/25, (index+1)/25) s.
    public let index: Int
    /// The whole picture.
    public let image: Image
    /// Where the mouth was redrawn.
    public let square: CropSquare
    /// How long its stages took, waiting included.
    public let durations: [Stage: Duration]
}

/// The stages that are timed.
public enum Stage: String, Sendable, CaseIterable {
    /// Fetching and decoding the template frame.
    case template
    /// Crop, roi, masked roi, tensor.
    case crop
    /// The generator.
    case generate
    /// Paste back.
    case paste
}

/// Measures consecutive stages.
private struct StageClock {
    private(set) var durations: [Stage: Duration] = [:]
    private var last = ContinuousClock.now

    mutating func end(_ stage: Stage) {
        let now = ContinuousClock.now
        durations[stage] = now - last
        last = now
    }
}
