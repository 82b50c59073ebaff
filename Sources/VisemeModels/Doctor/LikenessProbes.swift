import Viseme

/// How far a generator's picture is from the one it was shown, where speech changes nothing.
///
/// The limits were set with good packs, with generators of other people on eight real faces, with weights that were moved by
/// 2…40 % towards noise, and with the usual mistake of pasting the roi over the whole square. See `docs/models.md`.
enum LikenessLimits {
    /// Grey levels added to both steps: what nobody sees counts little, however large the ratio.
    static let floor = 2.0
    /// Up to here the border is as invisible as the template's own pixels. Default pack 1.7, foreign ones 2.4 and more.
    static let seam = 1.4
    /// From here on the generator, the geometry or the template is another one's.
    static let brokenSeam = 2.0
    /// Mean difference in grey levels outside the mouth. Default pack 2.7, foreign ones 6.6 and more.
    static let identity = 3.5
    static let brokenIdentity = 4.5
}

extension PackProbes {
    /// Redraws several template frames with speech and with silence: the border of the pasted square, and what lies outside of
    /// the mouth, must be those of the template.
    func likeness(_ compositor: Compositor, _ sounds: ProbeSounds, _ report: inout DoctorReport) async throws {
        var seams: [SeamMeasure] = []
        var differences: [Double] = []
        for index in Set((0..<4).map { $0 * avatar.manifest.frames / 4 }).sorted() {
            let picture = try await TemplatePicture(index, of: avatar, media: media)
            let input = compositor.generatorInput(roi: picture.roi, masked: picture.masked)
            for sound in [sounds.speech, sounds.silence] {
                let mouth = try await generator.generate(image: input, audio: sound)
                let pasted = try compositor.paste(
                    mouth: mouth, crop: picture.crop, into: picture.frame, at: picture.square)
                seams.append(SeamMeasure(pasted, picture, avatar.manifest.geometry))
                differences.append(Self.difference(mouth, picture.roi))
            }
        }
        seam(seams, &report)
        identity(differences.reduce(0, +) / Double(max(1, differences.count)), &report)
    }

    private func seam(_ measures: [SeamMeasure], _ report: inout DoctorReport) {
        let ordered = measures.sorted { $0.ratio < $1.ratio }
        guard !ordered.isEmpty else { return }
        let median = ordered[ordered.count / 2]
        let figures =
            "the border steps by \(TensorDifference.text(median.pasted)) grey levels, the template by "
            + "\(TensorDifference.text(median.template)); ratio \(TensorDifference.text(median.ratio)), expected at most "
            + "\(LikenessLimits.seam)"
        if median.ratio > LikenessLimits.brokenSeam {
            report.bad(
                .paste, "a seam: \(figures)",
                "Are \"geometry\" and the generator those of this template's person? viseme avatar info shows both.")
        } else if median.ratio > LikenessLimits.seam {
            report.warn(.paste, "a visible seam: \(figures)", "Longer training of the generator makes it smaller.")
        } else {
            report.good(.paste, "no seam: \(figures)")
        }
    }

    private func identity(_ difference: Double, _ report: inout DoctorReport) {
        let figures =
            "outside the mouth the picture changes by \(TensorDifference.text(difference)) grey levels, expected at most "
            + "\(LikenessLimits.identity)"
        let advice = "A generator redraws the person that it was trained on. Train one on this template."
        if difference > LikenessLimits.brokenIdentity {
            report.bad(.identity, "the generator draws somebody else: \(figures)", advice)
        } else if difference > LikenessLimits.identity {
            report.warn(.identity, "the generator changes the person: \(figures)", advice)
        } else {
            report.good(.identity, figures)
        }
    }

    /// Mean difference in grey levels between a drawn roi and the real one, in the upper two fifths and the strips beside the
    /// jaw: what a mouth does not move.
    static func difference(_ mouth: [Float], _ roi: Image) -> Double {
        let (side, plane) = (roi.width, roi.width * roi.width)
        let (upper, strip) = (side * 2 / 5, side * 24 / 320)
        var (sum, count) = (0.0, 0)
        for y in 0..<side {
            for x in 0..<side where y < upper || x < strip || x >= side - strip {
                for c in 0..<3 {
                    let drawn = Double(min(1, max(0, mouth[c * plane + y * side + x]))) * 255
                    sum += abs(drawn.rounded(.down) - Double(roi.bytes[(y * side + x) * 3 + c]))
                }
                count += 3
            }
        }
        return sum / Double(max(1, count))
    }
}

/// The step across the border of a pasted square, and that of the template at the same place.
struct SeamMeasure {
    /// Mean step in grey levels of the pasted picture.
    let pasted: Double
    /// That of the template.
    let template: Double
    /// How much larger the first one is, with the floor added to both.
    var ratio: Double { (pasted + LikenessLimits.floor) / (template + LikenessLimits.floor) }

    init(_ pasted: Image, _ picture: TemplatePicture, _ geometry: CropGeometry) {
        // The paste's own edge, and the edge of the generated part inside the crop's border.
        let inner = max(1, picture.square.size * geometry.border / geometry.crop)
        let steps = [0, inner, inner + 1].map { offset in
            (Self.step(pasted, picture.square, offset), Self.step(picture.frame, picture.square, offset))
        }
        (self.pasted, template) = steps.max { $0.0 - $0.1 < $1.0 - $1.1 } ?? (0, 0)
    }

    /// Mean difference of neighbouring pixels across the square's four sides, `offset` pixels inside.
    private static func step(_ image: Image, _ square: CropSquare, _ offset: Int) -> Double {
        var (sum, count) = (0.0, 0)
        func add(_ x1: Int, _ y1: Int, _ x2: Int, _ y2: Int) {
            // A square may touch the picture's edge, where there is nothing on the other side.
            guard [x1, x2].allSatisfy((0..<image.width).contains), [y1, y2].allSatisfy((0..<image.height).contains)
            else { return }
            let (one, two) = ((y1 * image.width + x1) * 3, (y2 * image.width + x2) * 3)
            for c in 0..<3 { sum += Double(abs(Int(image.bytes[one + c]) - Int(image.bytes[two + c]))) }
            count += 3
        }
        let (right, bottom) = (square.x + square.size - offset, square.y + square.size - offset)
        for i in 0..<square.size {
            add(square.x + offset - 1, square.y + i, square.x + offset, square.y + i)
            add(right, square.y + i, right - 1, square.y + i)
            add(square.x + i, square.y + offset - 1, square.x + i, square.y + offset)
            add(square.x + i, bottom, square.x + i, bottom - 1)
        }
        return sum / Double(max(1, count))
    }
}
