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
        var changed = 0
        for index in Set((0..<4).map { $0 * avatar.manifest.frames / 4 }).sorted() {
            let picture = try await TemplatePicture(index, of: avatar, media: media)
            let input = compositor.generatorInput(roi: picture.roi, masked: picture.masked)
            for sound in [sounds.speech, sounds.silence] {
                let mouth = try await generator.generate(image: input, audio: sound)
                let pasted = try compositor.paste(
                    mouth: mouth, crop: picture.crop, into: picture.frame, at: picture.square)
                if let mask = avatar.mask {
                    seams.append(SeamMeasure(pasted, picture, mask))
                    changed += mask.changes(outside: picture.square, pasted, picture.frame)
                } else {
                    seams.append(SeamMeasure(pasted, picture, avatar.manifest.geometry))
                    differences.append(Self.difference(mouth, picture.roi))
                }
            }
        }
        seam(seams, &report)
        guard avatar.mask == nil else { return outside(changed, &report) }
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

    /// Nothing outside the mask is drawn.
    private func outside(_ changed: Int, _ report: inout DoctorReport) {
        if changed == 0 {
            report.good(.identity, "outside the mask every byte is the template's")
        } else {
            report.bad(.identity, "\(changed) bytes outside the mask are not the template's")
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
        let (side, plane) = (roi.width, roi.size.count)
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
