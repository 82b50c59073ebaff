/// Speech in, frames out: an avatar with its models loaded.
///
/// ```swift
/// let avatar = try Avatar(contentsOf: packURL)
/// let engine = try await Engine(avatar, backend: ONNXBackend(), media: FFmpeg(), judge: WeightJudge())
/// for try await frame in engine.frames(for: try await FFmpeg().speech(at: audioURL)) { show(try frame.image) }
/// ```
public struct Engine: Sendable {
    /// The avatar.
    public let avatar: Avatar
    /// How the cores are shared.
    public let parallelism: Parallelism

    /// What the judge says of each model.
    public let verdicts: [ModelRole: TrainingVerdict]

    let encoder: any AudioEncoder
    let generators: [any Generator]
    let template: TemplateSource
    let features: KeptFeatures
    let silentFrames: Int
    /// Closed mouths by template frame, for all live sessions.
    let idleSquares = SilentSquares()
    private let mouth: Once<MouthReader>

    /// Loads the avatar's models and opens its template, off the caller's actor.
    ///
    /// - Parameters:
    ///   - avatar: The pack.
    ///   - backend: Runs the models.
    ///   - media: Decodes the template.
    ///   - judge: What tells whether the models were ever trained: `WeightJudge()`.
    ///   - memory: Bytes for what is kept of the template: decoded frames, the generator's template features, squares that
    ///     were drawn for silence. 40 MB by default. It changes nothing but the speed.
    ///   - parallelism: How the cores are shared.
    ///   - allowUntrained: For tests: whether models that were never trained may run. Reports and outputs then say so.
    /// - Throws: `.badData` for a model that was never trained, in whole or in part; whatever else is wrong with the pack's
    ///   models or template, by name.
    public init(
        _ avatar: Avatar, backend: any InferenceBackend, media: any MediaBackend, judge: any ModelJudge,
        memory: Int = 40_000_000, parallelism: Parallelism = Parallelism(), allowUntrained: Bool = false
    ) async throws {
        self.avatar = avatar
        self.parallelism = parallelism
        let budget = MemoryBudget(memory)
        let manifest = avatar.manifest
        template = try await TemplateSource(avatar, media: media, memory: budget.frames)
        let (encoderFile, heard) = try await judge.admit(avatar.model(.audioEncoder), allowUntrained: allowUntrained)
        let (generatorFile, drawn) = try await judge.admit(avatar.model(.generator), allowUntrained: allowUntrained)
        verdicts = [.audioEncoder: heard, .generator: drawn]
        encoder = try await backend.audioEncoder(encoderFile, threads: parallelism.threads)
        generators = try await backend.generators(
            generatorFile, count: parallelism.width, threads: parallelism.threads,
            template: TemplateBudget(frames: manifest.frames, bytes: budget.features))
        for generator in generators where generator.imageSize != manifest.geometry.roi {
            throw VisemeError(
                .badData,
                "The generator draws \(generator.imageSize) pixels, the pack's roi has \(manifest.geometry.roi).",
                hint: "The pack's geometry and its generator belong to different model variants.")
        }
        features = KeptFeatures(frames: generators[0].keeping.frames)
        let largest = avatar.squares.map(\.size.count).max() ?? 1
        silentFrames = min(manifest.frames, budget.silence / (largest * 3))
        mouth = Once { [encoder] in
            try await MouthReader(
                avatar, hearing: encoder, heard: heard, backend: backend, judge: judge, allowUntrained: allowUntrained)
        }
    }

    /// The ears of this engine without its pictures: what the mouth does in every frame. The first call loads the articulator.
    ///
    /// - Throws: as `MouthReader`.
    public func mouthReader() async throws -> MouthReader { try await mouth.value() }

    /// What outputs say when models take part that were never trained; nil for an engine whose models were.
    public var untrainedNotice: String? {
        let untrained = avatar.manifest.models.compactMap { model in
            verdicts[model.role].flatMap {
                $0.refusal(of: model.file) == nil ? nil : "\(model.file) is \($0.kind.rawValue)"
            }
        }
        return untrained.isEmpty
            ? nil : "Made for a test, with models that were not trained: \(untrained.joined(separator: ", "))."
    }

    /// Which template features are kept, and why not more.
    public var keeping: TemplateKeeping { generators[0].keeping }

    /// The runtimes of the audio encoder and the generator.
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

    /// A picture of the template as it is.
    ///
    /// - Parameter position: The picture's number, from 0 on; the template repeats.
    public func templateFrame(at position: Int) async throws -> Frame {
        try await draw(
            DrawJob(
                index: position, templateIndex: avatar.templateIndex(ofFrame: position), featureWindow: [], blend: 0))
    }

    /// Gives back the memory of decoded template frames, after all of them were read for once.
    package func forgetTemplateFrames() async { await template.forget() }

    /// Feature rows for mel windows, checked: (count, mel window) → (count, feature row).
    func encode(_ melWindows: [Float], count: Int) async throws -> [Float] {
        let rows = try await encoder.encode(melWindows, count: count)
        try rows.requireFinite("The audio encoder's output")
        return rows
    }

    /// Draws one frame. Pure: the same job gives the same image.
    func draw(_ job: DrawJob) async throws -> Frame {
        var clock = StageClock()
        let index = job.templateIndex
        let template = try await template.frame(at: index)
        let square = avatar.square(ofTemplateFrame: index)
        guard job.blend > 0 else {
            for stage in [Stage.template, .crop, .prepare, .generate, .paste] { clock.end(stage) }
            return Frame(
                index: job.index, picture: template.picture, square: square, origin: .template,
                durations: clock.durations)
        }
        let area = PatchedPicture.area(of: square, in: template.picture)
        var patch = try template.picture.checkedImage(of: area)
        let place = PixelArea(
            x: square.x - area.x, y: square.y - area.y, width: square.width, height: square.height)
        clock.end(.template)
        let compositor = avatar.compositor
        let drawn: Image
        if let silent = job.silentSquare {
            drawn = silent
            for stage in [Stage.crop, .prepare, .generate] { clock.end(stage) }
        } else {
            let crop = template.crop ?? compositor.crop(patch, at: place)
            clock.end(.crop)
            let generator = generators[job.index % generators.count]
            let features = try await generator.prepare(
                {
                    let roi = template.roi ?? compositor.roi(of: crop)
                    return compositor.generatorInput(roi: roi, masked: template.masked ?? compositor.masked(roi))
                }, kept: job.kept)
            clock.end(.prepare)
            let mouth = try await generator.generate(features, audio: job.featureWindow)
            clock.end(.generate)
            if job.kept == nil { self.features.keep(features.kept, of: index) }
            drawn = try compositor.square(mouth: mouth, crop: crop, size: square.size)
        }
        Compositor.place(drawn, in: &patch, at: place, share: Float(job.blend) / Float(Blend.full))
        let picture = PatchedPicture(template.picture, patch: patch, area: area, square: compositor.drawn(in: square))
        if job.isRemembered { job.silence?.keep(drawn, ofFrame: job.silenceKey) }
        clock.end(.paste)
        let origin: Frame.Origin =
            job.silentSquare != nil ? .silence : job.kept != nil ? .keptFeatures : .generated
        return Frame(index: job.index, picture: picture, square: square, origin: origin, durations: clock.durations)
    }
}
