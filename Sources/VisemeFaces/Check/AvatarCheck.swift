import Foundation
public import Viseme
public import VisemeModels

/// Looks at a pack's person: whether crop, loop and mask fit the face, and whether the generator draws this face.
///
/// `Doctor` asks whether the stages work; this asks whether they belong to one another. Both write into one report.
public struct AvatarCheck: Sendable {
    /// Template frames at most that are redrawn.
    private static let redrawn = 12

    private let avatar: Avatar
    private let generator: any Generator
    private let silence: [Float]
    private let models: FaceModels
    private let media: any MediaBackend

    /// Loads the pack's models.
    public init(_ avatar: Avatar, backend: any InferenceBackend, models: FaceModels, media: any MediaBackend)
        async throws
    {
        let encoder = try await backend.audioEncoder(try avatar.model(.audioEncoder), threads: 1)
        generator = try await backend.generators(
            try avatar.model(.generator), count: 1, threads: 1,
            template: TemplateBudget(frames: avatar.manifest.frames, bytes: 0))[0]
        silence = avatar.family.featureWindow.filled(
            with: try await encoder.encode(avatar.family.silentMelWindow, count: 1))
        (self.avatar, self.models, self.media) = (avatar, models, media)
    }

    /// Adds what it finds to a report.
    ///
    /// - Throws: What keeps the template from being read. Faults of the pack are in the report.
    public func run(_ report: inout DoctorReport, progress: (Int, Int) -> Void = { _, _ in }) async throws {
        let template: TemplateFaces
        do {
            template = try await TemplateFaces(avatar, models: models, media: media, progress: progress)
        } catch let error as VisemeError where error.code == .badData {
            return report.skip(.identity, "\(error.message) Crop, loop and likeness were not looked at.")
        }
        var seen = TemplateFigures(template, avatar)
        try await redraw(template, &seen)
        seen.judge(&report)
    }

    /// Redraws some frames without a word and compares them with the template.
    private func redraw(_ template: TemplateFaces, _ seen: inout TemplateFigures) async throws {
        let reader = try await media.template(at: try avatar.member(avatar.manifest.template), memory: 0)
        let compositor = avatar.compositor
        for number in Reenactment.evenly(template.faces.count, Self.redrawn) {
            let face = template.faces[number]
            let frame = try await reader.frame(at: face.index).image()
            let area = avatar.square(ofTemplateFrame: face.index)
            let crop = compositor.crop(frame, at: area)
            let roi = compositor.roi(of: crop)
            let mouth = try await generator.generate(
                image: compositor.generatorInput(roi: roi, masked: compositor.masked(roi)), audio: silence)
            let drawn = try compositor.paste(mouth: mouth, crop: crop, into: frame, at: area)
            let mesh = try await models.mesh(in: drawn, FaceSquare(around: face.mesh))
            let own = try await models.mesh(in: frame, FaceSquare(around: face.mesh))
            seen.add(own: own, drawn: mesh, frame: frame, picture: drawn, area: area)
        }
    }
}

/// What the faces of a template tell of its pack.
struct TemplateFigures {
    /// Limits: as good, and still usable. Set with both robins, and with crops and masks that were spoiled on purpose; no pack of
    /// another person was at hand.
    enum Limits {
        /// Deviation of the crop from the head from frame to frame, in pixels. Whole pixels alone make 0.4, robin has 0.8.
        static let jitter = (good: 1.2, usable: 1.8)
        /// How far the crop strays from its place on the head, in shares of the face's width.
        static let stray = (good: 0.05, usable: 0.12)
        /// Movement of the head where playback turns round, in shares of the face's width a frame.
        static let turn = (good: 0.004, usable: 0.012)
        /// Share of the frames whose lips lie inside the mask.
        static let inside = (good: 0.99, usable: 0.9)
        /// Sharpness around the mouth, drawn against the template's.
        static let texture = (good: 0.75, usable: 0.5)
        /// Distance of the lips from the template's, in shares of the face's width.
        static let lips = (good: 0.03, usable: 0.06)
        /// Mean colour difference inside the mask, in grey levels.
        static let colour = (good: 6.0, usable: 14.0)
    }

    private let template: TemplateFaces
    private let avatar: Avatar
    private let mouth: PixelRegion
    private let drawn: PixelRegion
    private var textures: (own: [Double], drawn: [Double]) = ([], [])
    private var lips: [Double] = []
    private var colours: [Double] = []

    init(_ template: TemplateFaces, _ avatar: Avatar) {
        (self.template, self.avatar) = (template, avatar)
        let points = FacePoint.lips.map { point in
            let places = template.faces.map { face -> SIMD2<Double> in
                let area = avatar.square(ofTemplateFrame: face.index)
                return face.mesh[point] - SIMD2(Double(area.x), Double(area.y))
            }
            return SIMD2(places.map(\.x).median, places.map(\.y).median)
        }
        mouth = PixelRegion(size: template.cropSize, hullOf: points).grown(by: 7)
        drawn = PixelRegion(drawnBy: avatar, in: template.cropSize)
    }

    mutating func add(own: FaceMesh, drawn mesh: FaceMesh, frame: Image, picture: Image, area: PixelArea) {
        lips.append(
            FacePoint.lips.map { point in
                let apart = mesh[point] - own[point]
                return (apart * apart).sum().squareRoot()
            }.mean / own.width)
        // Squares of an inherited pack differ by pixels: pictures are compared where they have the usual size.
        guard area.size == template.cropSize else { return }
        let (one, other) = (frame.image(of: area), picture.image(of: area))
        textures.own.append(GreyPicture(one).texture(mouth))
        textures.drawn.append(GreyPicture(other).texture(mouth))
        var sums = [0.0, 0.0, 0.0]
        for pixel in drawn.pixels {
            for c in 0..<3 { sums[c] += Double(one.bytes[3 * pixel + c]) - Double(other.bytes[3 * pixel + c]) }
        }
        colours.append(sums.map { abs($0) / Double(max(1, drawn.pixels.count)) }.mean)
    }

    /// Deviation of the crop from the head between neighbouring frames in pixels, and how far it strays in face widths.
    var crop: (jitter: Double, stray: Double) {
        let off = template.faces.map { face -> SIMD2<Double> in
            let area = avatar.square(ofTemplateFrame: face.index)
            let middle = SIMD2(Double(area.x) + Double(area.width) / 2, Double(area.y) + Double(area.height) / 2)
            return middle - face.place(template.middle)
        }
        var steps: [Double] = []
        for k in off.indices.dropFirst() {
            let apart = off[k] - off[k - 1]
            steps.append((apart * apart).sum())
        }
        // Two neighbours have the noise of both.
        let stray = off.map { ($0 * $0).sum().squareRoot() }.max() ?? 0
        return ((steps.mean / 2).squareRoot(), stray / template.width)
    }

    /// Movement of the nose at the worse end, in face widths a frame.
    var turn: Double {
        let faces = template.faces
        guard faces.count > 6 else { return 0 }
        func speed(_ from: Int) -> Double {
            (0..<3).map { k in
                let (one, two) = (faces[from + k], faces[from + k + 1])
                let apart = two.mesh[FacePoint.nose] - one.mesh[FacePoint.nose]
                return (apart * apart).sum().squareRoot() / Double(max(1, two.index - one.index))
            }.mean / template.width
        }
        return max(speed(0), speed(faces.count - 4))
    }

    /// Share of the frames whose lips all lie where more than half of the picture is drawn.
    var inside: Double {
        let frames = template.faces.count { face in
            let area = avatar.square(ofTemplateFrame: face.index)
            return FacePoint.lips.allSatisfy { isDrawn(face.mesh[$0], area) }
        }
        return Double(frames) / Double(template.faces.count)
    }

    private func isDrawn(_ point: SIMD2<Double>, _ area: PixelArea) -> Bool {
        let geometry = avatar.manifest.geometry
        let x = (point.x + 0.5 - Double(area.x)) * Double(geometry.crop.width) / Double(area.width)
        let y = (point.y + 0.5 - Double(area.y)) * Double(geometry.crop.height) / Double(area.height)
        guard x >= 0, y >= 0, x < Double(geometry.crop.width), y < Double(geometry.crop.height) else { return false }
        if let mask = avatar.mask { return mask.levels[Int(y) * mask.size.width + Int(x)] > 127 }
        guard let mask = geometry.mask else { return true }
        let (column, row) = (Int(x) - geometry.border, Int(y) - geometry.border)
        return column >= mask[0] && row >= mask[1] && column < mask[2] && row < mask[3]
    }

    /// Whether a step can be seen at the very edge of the crop, where a feather cannot end. Robin's mask has 1 of 255 there.
    var touchesEdge: Bool {
        guard let mask = avatar.mask else { return false }
        let seen = 16
        let (width, height) = (mask.size.width, mask.size.height)
        return (0..<width).contains { mask.levels[$0] > seen || mask.levels[(height - 1) * width + $0] > seen }
            || (0..<height).contains { mask.levels[$0 * width] > seen || mask.levels[$0 * width + width - 1] > seen }
    }

    /// Writes the findings.
    func judge(_ report: inout DoctorReport) {
        let (jitter, stray) = crop
        let again = "Make the pack again: viseme-train pack, or viseme avatar import."
        report.add(
            .crop, "the crop follows the head within \(text(jitter)) pixels from frame to frame", jitter, Limits.jitter,
            "The crop trembles, and what is drawn with it. \(again)")
        report.add(
            .crop, "it strays from its place by up to \(text(100 * stray)) % of the face's width", stray, Limits.stray,
            "crops.json belongs to another template, or the face was lost. \(again)")
        report.add(
            .crop, "the lips lie inside the mask in \(text(100 * inside)) % of the frames", -inside,
            (-Limits.inside.good, -Limits.inside.usable), "The mouth is cut off there. \(again)")
        if touchesEdge {
            report.warn(.crop, "the mask reaches the crop's edge: a seam may be seen there", again)
        }
        report.add(
            .template, "where playback turns round the head moves by \(text(100 * turn)) % of its width a frame", turn,
            Limits.turn, "The loop has a jerk. Choose ends where the head rests.", isFatal: false)
        if textures.own.mean > 0 {
            let ratio = textures.drawn.mean / textures.own.mean
            report.add(
                .identity, "the drawn mouth is \(text(ratio)) times as sharp as the template's", -ratio,
                (-Limits.texture.good, -Limits.texture.usable), "Train longer, or with a larger face.", isFatal: false)
            report.add(
                .identity, "its colour differs by \(text(colours.mean)) grey levels", colours.mean, Limits.colour,
                "The generator was trained on another person or in another light.")
        }
        report.add(
            .identity, "the lips lie \(text(100 * lips.mean)) % of the face's width from the template's", lips.mean,
            Limits.lips, "The generator draws another person's mouth. Train one on this template.")
    }

    private func text(_ value: Double) -> String { String(format: abs(value) < 10 ? "%.2f" : "%.0f", value) }
}

extension DoctorReport {
    /// A figure that is better the smaller it is.
    fileprivate mutating func add(
        _ stage: Stage, _ message: String, _ value: Double, _ limits: (good: Double, usable: Double), _ advice: String,
        isFatal: Bool = true
    ) {
        if value <= limits.good {
            good(stage, message)
        } else if value <= limits.usable || !isFatal {
            warn(stage, message, advice)
        } else {
            bad(stage, message, advice)
        }
    }
}
