import Foundation
import Viseme

extension PackProbes {
    /// Drives the generator with speech and silence on one picture: mask, colours, mouth, paste.
    func mouths(_ picture: TemplatePicture, _ sounds: ProbeSounds, _ report: inout DoctorReport) async throws {
        let compositor = avatar.compositor
        readyMade(picture, compositor, &report)
        let input = compositor.generatorInput(roi: picture.roi, masked: picture.masked)
        let mouth = try await generator.generate(image: input, audio: sounds.speech)
        let quiet = try await generator.generate(image: input, audio: sounds.silence)
        Self.generator(speech: mouth, silence: quiet, &report)
        guard mouth.allSatisfy(\.isFinite), quiet.allSatisfy(\.isFinite) else {
            return report.skip(.paste, "the generator must be fixed first")
        }
        if let sound = sounds.otherSpeech {
            difference(
                "another moment of the speech", mouth, try await generator.generate(image: input, audio: sound), &report
            )
        }
        let answer = try await goldenAnswer(of: .generator, &report)
        mask(answer, &report)
        try await colours(answer, input, quiet, sounds.silence, &report)
        try await likeness(compositor, sounds, &report)
    }

    /// Ready-made rois and masked rois were cut by another program: they must be what the pack's geometry makes of its crops.
    private func readyMade(_ picture: TemplatePicture, _ compositor: Compositor, _ report: inout DoctorReport) {
        guard avatar.manifest.precut != nil else { return }
        let pairs = [
            ("roi", picture.roi, compositor.roi(of: picture.crop)),
            ("masked roi", picture.masked, compositor.masked(picture.roi)),
        ]
        for (what, image, own) in pairs {
            // JPEG moves a grey level by less than 48, but for a few at the mask's edge.
            let count = zip(image.bytes, own.bytes).count { abs(Int($0) - Int($1)) > 48 }
            let share = Double(count) / Double(own.bytes.count)
            let isLike = image.width == own.width && image.height == own.height && share <= 0.01
            let figures = "\(image.width)×\(image.height), \(TensorDifference.text(100 * share)) % of it differ"
            if isLike {
                report.good(.crop, "the ready-made \(what) is what the geometry makes of the crop: \(figures)")
            } else {
                report.bad(
                    .crop,
                    "the ready-made \(what) is not what the geometry makes of the crop (\(own.width)×\(own.height)): \(figures)",
                    "Correct \"geometry\" in avatar.json, or take \"precut\" out so that they are cut anew.")
            }
        }
    }

    /// Whether the audio changes the mouth, and whether there is a picture at all.
    static func generator(speech: [Float], silence: [Float], _ report: inout DoctorReport) {
        guard speech.allSatisfy(\.isFinite), silence.allSatisfy(\.isFinite) else {
            return report.bad(
                .generator, "the generator answers with numbers that are not finite",
                "Convert it again from its checkpoint, in fp32.")
        }
        let difference = TensorDifference("speech against silence", speech, silence)
        let deviation = Self.deviation(speech)
        if deviation < 0.02 {
            report.bad(
                .generator, "the generator draws a uniform grey: deviation \(TensorDifference.text(deviation))",
                "Convert the trained checkpoint again.")
        } else if difference.maximum < 0.02 {
            report.bad(
                .generator, "the generator ignores the audio: \(difference.line)",
                "Every sound gives the same mouth. Export it again; look for a constant in place of the audio input.")
        } else {
            report.good(
                .generator, "the audio changes the picture by up to \(TensorDifference.text(difference.maximum)) of 1")
        }
    }

    private func difference(_ what: String, _ a: [Float], _ b: [Float], _ report: inout DoctorReport) {
        let difference = TensorDifference(what, a, b)
        if difference.maximum < 0.01 {
            report.bad(
                .generator, "\(what) gives the same mouth: \(difference.line)", "The audio does not reach the picture.")
        } else {
            report.good(
                .generator, "\(what) gives another mouth, by up to \(TensorDifference.text(difference.maximum)) of 1")
        }
    }

    /// The generator's golden answer proves the mask. Without one, a mask that no training used is an error, and one that other
    /// packages use is left alone.
    private func mask(_ answer: GoldenAnswer, _ report: inout DoctorReport) {
        guard let mask = avatar.manifest.geometry.mask else {
            // A picture: its hash was compared when the pack was opened.
            let bounds = avatar.mask?.bounds.corners ?? []
            if answer == .equal {
                report.good(.crop, "the mask, drawn inside \(bounds): the generator's golden answer belongs to it")
            } else {
                report.good(.crop, "the mask, drawn inside \(bounds)")
            }
            return
        }
        let training = avatar.family.geometry(roi: avatar.manifest.geometry.roi)?.mask
        if answer == .equal {
            report.good(.crop, "the mask \(mask): the generator's golden answer belongs to it")
        } else if answer == .otherMask {
            report.bad(
                .crop, "the mask is \(mask), the generator's golden answer belongs to \(training ?? [])",
                "Correct \"mask\" of \"geometry\" in avatar.json.")
        } else if training == nil || mask == training {
            report.good(.crop, "the mask \(mask)")
        } else if avatar.manifest.precut != nil || mask == avatar.family.flattenedMask {
            report.skip(
                .crop,
                "the mask is \(mask), that of the original training \(training ?? []): nothing in the pack says which is right"
            )
        } else {
            report.bad(
                .crop, "the mask is \(mask), that of training \(training ?? [])",
                "Correct \"mask\" of \"geometry\" in avatar.json.")
        }
    }

    /// The picture that the generator redraws must be like the one it was given; if it is more so with red and blue exchanged,
    /// they are.
    private func colours(
        _ answer: GoldenAnswer, _ input: [Float], _ quiet: [Float], _ silence: [Float], _ report: inout DoctorReport
    ) async throws {
        let declared = avatar.manifest.colourOrder.rawValue
        let advice = "The model wants RGB, the pack says \(declared). Export it for \(declared)."
        if answer == .equal { return report.good(.colour, "\(declared): the generator's golden answer says so") }
        if answer == .exchangedColours {
            return report.bad(
                .colour, "the generator gives its golden answer with red and blue exchanged, and only so", advice)
        }
        let size = avatar.manifest.geometry.roi
        let answered = try await generator.generate(image: Planes.exchanged(input, size: size), audio: silence)
        let original = Array(input[..<(3 * size.count)])
        let asIs = TensorDifference("as declared", original, quiet).mean
        let exchanged = TensorDifference("exchanged", original, Planes.exchanged(answered, size: size)).mean
        // 0.1: what hardly resembles the input in either order is no evidence for one of them.
        if exchanged < 0.6 * asIs, exchanged < 0.1 {
            report.bad(
                .colour,
                "the generator redraws the picture better with red and blue exchanged: within "
                    + "\(TensorDifference.text(exchanged)) instead of \(TensorDifference.text(asIs))", advice)
        } else {
            report.good(
                .colour,
                "\(declared): the picture is redrawn within \(TensorDifference.text(asIs)), with red and blue exchanged "
                    + "within \(TensorDifference.text(exchanged))")
        }
    }
}
