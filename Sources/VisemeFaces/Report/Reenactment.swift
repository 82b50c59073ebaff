public import Foundation
public import Viseme
public import VisemeFFmpeg

/// Self-reenactment: the sound of a person's clip drives their avatar, frame by frame beside the film.
///
/// Pictures and figures are made as the training makes its own (`viseme_train.avatar.measure`), but for the references: they are
/// the template's frames, because the pack has no others.
public struct Reenactment: Sendable {
    /// What is being done, for a progress bar.
    public enum Stage: String, Sendable {
        /// The faces of template and clip are found; then each frame is drawn and measured; then silence is.
        case template, faces, frames, silence
    }

    /// Frames at most whose pictures are shown, and the template's that are redrawn for silence.
    private static let shown = 8, silent = 50
    /// Frames to be measured at the least: a second.
    private static let least = 25

    private let avatar: Avatar
    private let encoder: any AudioEncoder
    private let redrawing: Redrawing
    private let template: TemplateFaces
    private let models: FaceModels
    private let media: FFmpeg

    /// Loads an avatar and finds the faces of its template.
    ///
    /// - Parameters:
    ///   - backend: What runs its models: the stack that a render uses.
    ///   - judge: What tells whether they were ever trained.
    ///   - models: The face models.
    ///   - media: What reads template and clip.
    public init(
        _ avatar: Avatar, backend: any InferenceBackend, judge: any ModelJudge, models: FaceModels, media: FFmpeg,
        threads: Int = 1, allowUntrained: Bool = false, progress: (Stage, Int, Int?) -> Void = { _, _, _ in }
    ) async throws {
        let (heard, _) = try await judge.admit(try avatar.model(.audioEncoder), allowUntrained: allowUntrained)
        let (drawn, _) = try await judge.admit(try avatar.model(.generator), allowUntrained: allowUntrained)
        encoder = try await backend.audioEncoder(heard, threads: threads)
        let generator = try await backend.generators(
            drawn, count: 1, threads: threads, template: TemplateBudget(frames: avatar.manifest.frames, bytes: 0))[0]
        guard generator.imageSize == avatar.manifest.geometry.roi else {
            throw VisemeError(
                .badData,
                "The generator draws \(generator.imageSize) pixels, the pack's roi has \(avatar.manifest.geometry.roi).",
                hint: "viseme doctor \(avatar.url.path)")
        }
        template = try await TemplateFaces(avatar, models: models, media: media) { progress(.template, $0, $1) }
        redrawing = Redrawing(avatar: avatar, generator: generator, crop: template.cropSize)
        (self.avatar, self.models, self.media) = (avatar, models, media)
    }

    /// Measures a clip.
    ///
    /// - Parameters:
    ///   - url: A video of the avatar's person, with sound.
    ///   - seconds: The part that is measured; all of the clip is heard and followed.
    ///   - soundDelay: Seconds by which the clip's sound is late or early, as `viseme-train prepare` found it.
    /// - Throws: `.badData` when there is no face, no sound, or less than a second of speech.
    public func run(
        clip url: URL, seconds: Range<Double> = 0..<Double.infinity, soundDelay: Double = 0,
        progress: (Stage, Int, Int?) -> Void = { _, _, _ in }
    ) async throws -> AvatarReport {
        let speech = try await hear(url, delay: soundDelay)
        let expected = speech.featureWindows.count
        let faces = try await ClipFaces(url, like: template, avatar: avatar, models: models, media: media) {
            progress(.faces, $0, max($0, expected))
        }
        let count = min(faces.meshes.count, speech.featureWindows.count)
        let spoken = (0..<count).filter { faces.isGood[$0] && speech.isSpeaking[$0] }
        let measured = spoken.filter { seconds.contains(Double($0) / 25) }
        guard measured.count >= Self.least else {
            throw VisemeError(
                .badData,
                "There are \(measured.count) frames of '\(url.lastPathComponent)' in which a face looks at the lens and somebody "
                    + "speaks, expected at least \(Self.least).",
                hint: "Give a clip of the avatar's person with a few seconds of speech.")
        }
        var sums = Measurement(faces, measured, region: PixelRegion(drawnBy: avatar, in: template.cropSize))
        let silence = avatar.family.featureWindow.filled(
            with: try await encoder.encode(avatar.family.silentMelWindow, count: 1))
        let wanted = Set(Self.evenly(measured.count, Self.shown))
        let reader = try await media.clip(at: url, size: faces.frameSize)
        var next = 0
        while next < measured.count, let frame = try await reader.next() {
            guard frame.number == measured[next] else { continue }
            guard let mesh = faces.meshes[frame.number], let place = faces.places[frame.number] else { continue }
            let reference = template.reference(for: mesh, at: place)
            let corner = faces.corners[frame.number]
            let given = redrawing.given(
                frame.image, corner: corner,
                reference: reference.moved(onto: place, corner: corner, size: template.cropSize))
            // Speech of another moment: half of the clip away from any order.
            let other = spoken[(next + spoken.count / 2) % spoken.count]
            let drawn = try await redrawing.draw(given, speech.featureWindows[frame.number])
            let wrong = try await redrawing.draw(given, speech.featureWindows[other])
            let square = FaceSquare(around: mesh)
            let seen = Measurement.Seen(
                filmed: try await models.mesh(in: frame.image, square),
                drawn: try await models.mesh(in: drawn, square), wrong: try await models.mesh(in: wrong, square))
            let pictures = (filmed: given.filmed, drawn: drawn.image(of: given.area))
            // Every third frame, as the training does: it is the dearest figure.
            let copies = next % 3 == 0 ? Self.some(template.faces, 40) : []
            sums.add(
                frame.number, seen, pictures, reference: reference.index,
                copies: copies.map { $0.moved(onto: place, corner: corner, size: template.cropSize) })
            if wanted.contains(next) {
                let quiet = try await redrawing.draw(given, silence)
                sums.show([given.filmed, pictures.drawn, quiet.image(of: given.area), wrong.image(of: given.area)])
            }
            next += 1
            progress(.frames, next, measured.count)
        }
        let quiet = try await self.silence(silence, closedBelow: sums.closedLevel, progress: progress)
        return sums.report(
            .init(
                avatar: avatar.manifest.name, clip: url.lastPathComponent, frames: count, measured: measured.count,
                scale: faces.scale, soundDelay: soundDelay, face: faces.width),
            silence: quiet, notes: speech.warnings + Self.notes(faces, count: count))
    }

    private func hear(_ url: URL, delay: Double) async throws -> ClipSpeech {
        let summary = try await media.probe(url)
        var offset = 0.0
        if let sound = summary.audio, let picture = summary.video {
            // Time 0 is the first picture. Less than a frame is the codec's own delay.
            let apart = sound.startSeconds - picture.startSeconds
            if abs(apart) > 0.05, abs(apart) < 60 { offset = apart }
        }
        return try await ClipSpeech(
            try await media.speech(at: url), delay: delay + offset, family: avatar.family,
            choice: avatar.manifest.featureWindow, encoder: encoder)
    }

    /// Redraws neighbouring template frames without a word.
    private func silence(
        _ featureWindow: [Float], closedBelow level: Double, progress: (Stage, Int, Int?) -> Void
    ) async throws -> AvatarReport.Silence {
        let start = max(0, (template.faces.count - Self.silent) / 2)
        let faces = template.faces[start..<min(template.faces.count, start + Self.silent)]
        var (drawn, own): ([Double], [Double]) = ([], [])
        let reader = try await media.template(at: try avatar.member(avatar.manifest.template), memory: 0)
        for face in faces {
            let frame = try await reader.frame(at: face.index).image()
            let area = avatar.square(ofTemplateFrame: face.index)
            let compositor = avatar.compositor
            let crop = compositor.crop(frame, at: area)
            let roi = compositor.roi(of: crop)
            let mouth = try await redrawing.generator.generate(
                image: compositor.generatorInput(roi: roi, masked: compositor.masked(roi)), audio: featureWindow)
            let picture = try compositor.paste(mouth: mouth, crop: crop, into: frame, at: area)
            let square = FaceSquare(around: face.mesh)
            drawn.append(try await models.mesh(in: picture, square).opening)
            own.append(try await models.mesh(in: frame, square).opening)
            progress(.silence, drawn.count, faces.count)
        }
        return AvatarReport.Silence(
            frames: drawn.count,
            closed: Double(drawn.count { $0 < level }) / Double(max(1, drawn.count)),
            largestOpening: drawn.max() ?? 0, motion: drawn.deviation, templateMotion: own.deviation)
    }

    private static func notes(_ faces: ClipFaces, count: Int) -> [String] {
        var notes: [String] = []
        let missing = faces.meshes.prefix(count).count { $0 == nil }
        if missing > 0 { notes.append("\(missing) of \(count) frames have no face.") }
        if faces.scale > 1.2 {
            notes.append(
                "The clip's face is smaller than the template's: it was enlarged by "
                    + "\(String(format: "%.2f", faces.scale)), so the film is softer than the drawing.")
        }
        return notes
    }

    /// Numbers of `wanted` of `count` things, from the first to the last.
    static func evenly(_ count: Int, _ wanted: Int) -> [Int] {
        let number = min(count, wanted)
        guard number > 1 else { return number == 1 ? [0] : [] }
        return (0..<number).map { Int((Double($0 * (count - 1)) / Double(number - 1)).rounded(.toNearestOrEven)) }
    }

    private static func some(_ faces: [TemplateFaces.Face], _ most: Int) -> [TemplateFaces.Face] {
        evenly(faces.count, most).map { faces[$0] }
    }
}
