import Foundation
import Viseme

/// The probes that run a pack's networks.
///
/// A stage behind a broken one gets inputs that do not depend on it, or is skipped: one fault, one stage to blame.
struct PackProbes {
    let avatar: Avatar
    let encoder: any AudioEncoder
    let generator: any Generator
    let articulator: (any Articulator)?
    let media: any MediaBackend

    func run(_ report: inout DoctorReport) async {
        var stage = DoctorReport.Stage.files
        do {
            let golden = try avatar.manifest.goldenSpeech.map { try GoldenSpeechFiles($0, of: avatar) }
            let picture = try await TemplatePicture(golden?.golden.templateFrame ?? 0, of: avatar, media: media)

            stage = .mel
            var timeline = SpeechTimeline(avatar.family, choice: avatar.manifest.featureWindow)
            timeline.append(golden?.samples ?? [])
            timeline.finish()
            let melWindows =
                golden == nil
                ? ProbeInputs.speechMelWindows(avatar.family) : timeline.takeMelWindows(limit: .max).melWindows
            mel(golden, melWindows, &report)

            stage = .encoder
            let rows = try await encoder.encode(
                melWindows, count: melWindows.count / avatar.family.melWindowSize)
            let silent = try await encoder.encode(avatar.family.silentMelWindow, count: 1)
            Self.encoder(speech: rows, silence: silent, &report)
            let features = try await goldenAnswer(of: .audioEncoder, &report)

            stage = .featureWindow
            let hasSoundRows = !report.isBad(.encoder) && features != .different
            if hasSoundRows, !report.isBad(.mel) {
                featureWindow(golden, &timeline, rows, &report)
            } else {
                report.skip(.featureWindow, "what comes before it must be fixed first")
            }

            stage = .crop
            square(golden, picture.roi, &report)
            stage = .generator
            let sounds =
                hasSoundRows
                ? ProbeSounds(avatar.family.featureWindow, rows: rows, silent: silent)
                : ProbeSounds(avatar.family.featureWindow, golden: golden?.featureWindow)
            try await mouths(picture, sounds, &report)
            stage = .articulator
            try await shapes(sounds, &report)
        } catch {
            report.bad(stage, "\(error)")
        }
    }

    private func mel(_ golden: GoldenSpeechFiles?, _ melWindows: [Float], _ report: inout DoctorReport) {
        guard let golden else { return report.skip(.mel, "the pack has no golden speech") }
        var own: [Float] = []
        let size = avatar.family.melWindowSize
        for index in golden.golden.melWindowIndices where (0..<melWindows.count / size).contains(index) {
            own += melWindows[index * size..<(index + 1) * size]
        }
        guard own.count == golden.melWindows.count, !own.isEmpty else {
            return report.bad(
                .mel, "the golden windows have \(golden.melWindows.count) values, the front end gives \(own.count)",
                "Restore the pack's golden files.")
        }
        let difference = TensorDifference("mel windows", golden.melWindows, own)
        if difference.maximum <= 1e-4 {
            report.good(.mel, "the pack's golden windows within \(TensorDifference.text(difference.maximum))")
        } else {
            report.bad(
                .mel, "the pack was made with another front end: \(difference.line)",
                "Its training used another mel scale, window or level (contract: Slaney, \(avatar.family.mel.bandCount) bands, "
                    + "\(Int(avatar.family.mel.bandLimits.lowerBound))–\(Int(avatar.family.mel.bandLimits.upperBound)) Hz). Such a pack "
                    + "cannot be driven correctly.")
        }
    }

    /// Range, variance, dead units, and whether speech differs from silence.
    static func encoder(speech: [Float], silence: [Float], _ report: inout DoctorReport) {
        // Silence is one row.
        let width = silence.count
        let count = width == 0 ? 0 : speech.count / width
        guard speech.allSatisfy(\.isFinite), silence.allSatisfy(\.isFinite), count > 1 else {
            return report.bad(
                .encoder, "the audio encoder answers with numbers that are not finite",
                "Convert it again from its checkpoint, in fp32.")
        }
        let peak = speech.max() ?? 0
        var deviation = 0.0
        var alive = 0
        for unit in 0..<width {
            let spread = Self.deviation((0..<count).map { speech[$0 * width + unit] })
            deviation += spread / Double(width)
            if spread > 0 { alive += 1 }
        }
        var apart = 0.0
        for (i, value) in speech.enumerated() { apart += Double(abs(value - silence[i % width])) }
        apart /= Double(speech.count)
        let figures =
            "peak \(TensorDifference.text(Double(peak))), deviation over time \(TensorDifference.text(deviation)), "
            + "\(alive) of \(width) units alive, speech against silence \(TensorDifference.text(apart))"
        if deviation < 1e-6 {
            report.bad(
                .encoder, "the audio encoder ignores its input: \(figures)",
                "Export it again; look for a constant in place of the mel input.")
        } else if peak < 0.3 {
            report.bad(
                .encoder,
                "feature rows are far too small: \(figures); a trained encoder peaks above 1, a fresh one at 0.085–0.143",
                "No factor mends this. Convert the trained checkpoint again: "
                    + "viseme convert audio_visual_encoder.pth audio_encoder.onnx")
        } else if apart < 0.01 || alive < width / 16 {
            report.bad(
                .encoder, "feature rows hardly depend on the speech: \(figures)",
                "Compare it with its checkpoint: viseme compare CHECKPOINT.pth MODEL")
        } else {
            report.good(.encoder, figures)
        }
    }

    static func deviation(_ values: [Float]) -> Double {
        var (sum, squares) = (0.0, 0.0)
        for value in values {
            sum += Double(value)
            squares += Double(value) * Double(value)
        }
        let mean = sum / Double(values.count)
        return max(0, squares / Double(values.count) - mean * mean).squareRoot()
    }

    private func featureWindow(
        _ golden: GoldenSpeechFiles?, _ timeline: inout SpeechTimeline, _ rows: [Float], _ report: inout DoctorReport
    ) {
        guard let golden else { return report.skip(.featureWindow, "the pack has no golden speech") }
        timeline.accept(rows: rows)
        var own: [Float]?
        while let job = timeline.nextFrame() {
            if job.index == golden.golden.frame { own = job.featureWindow }
        }
        guard let own, own.count == golden.featureWindow.count else {
            return report.bad(
                .featureWindow,
                "the golden feature window of frame \(golden.golden.frame) has \(golden.featureWindow.count) values, "
                    + "the timeline gives \(own?.count ?? 0)", "Restore the pack's golden files.")
        }
        let difference = TensorDifference("feature window of frame \(golden.golden.frame)", golden.featureWindow, own)
        if difference.maximum <= 1e-3 {
            report.good(
                .featureWindow,
                "\(avatar.family.featureWindow.rows) rows in the reference's order, within \(TensorDifference.text(difference.maximum))"
            )
        } else {
            report.bad(
                .featureWindow, "the feature window is not the reference's: \(difference.line)",
                avatar.manifest.featureWindow == .tile
                    ? "\"featureWindow\" is \"tile\": one row sixteen times. Training used \"rows16\"."
                    : "The rows' order or padding differ, or the encoder is not the one of training.")
        }
    }

    private func square(_ golden: GoldenSpeechFiles?, _ roi: Image, _ report: inout DoctorReport) {
        guard let golden else { return report.skip(.crop, "the pack has no golden roi") }
        guard golden.roi.count == roi.bytes.count else {
            return report.bad(
                .crop, "the golden roi has \(golden.roi.count) bytes, the pack's crop gives \(roi.bytes.count)",
                "Restore the pack's golden files, or correct \"geometry\" in avatar.json.")
        }
        let difference = TensorDifference(
            "roi of template frame \(golden.golden.templateFrame)", golden.roi.map(Float.init),
            roi.bytes.map(Float.init))
        if difference.mean <= 0.5 {
            report.good(
                .crop, "the golden roi, within \(TensorDifference.text(difference.mean)) grey levels on average")
        } else {
            report.bad(
                .crop, "the crop square is not where it was in training: \(difference.line)",
                "Restore crops.json and the template, or import the pack again.")
        }
    }
}

/// One frame of a pack's template as the generator and the paste see it.
struct TemplatePicture {
    let frame: Image
    let square: PixelArea
    let crop: Image
    let roi: Image
    let masked: Image

    init(_ index: Int, of avatar: Avatar, media: any MediaBackend) async throws {
        func image(_ path: String) async throws -> Image {
            try await media.template(at: try avatar.member(path), memory: 0).frame(at: index).image()
        }
        let compositor = avatar.compositor
        frame = try await image(avatar.manifest.template)
        square = avatar.square(ofTemplateFrame: index)
        let precut = avatar.manifest.precut
        crop = if let precut { try await image(precut.crops) } else { compositor.crop(frame, at: square) }
        roi = if let precut { try await image(precut.rois) } else { compositor.roi(of: crop) }
        masked = if let precut { try await image(precut.masked) } else { compositor.masked(roi) }
    }
}

/// Feature windows to drive the generator with.
struct ProbeSounds {
    let speech: [Float]
    /// Another moment; nil when the rows are not the pack's own.
    let otherSpeech: [Float]?
    let silence: [Float]

    /// From an encoder that works.
    init(_ shape: FeatureWindow, rows: [Float], silent: [Float]) {
        let width = shape.count
        let padding = [Float](repeating: 0, count: max(0, width - rows.count))
        speech = rows.prefix(width) + padding
        otherSpeech = rows.suffix(width) + padding
        silence = shape.filled(with: silent)
    }

    /// For a generator whose encoder is broken: what training had, else noise that is spread like a trained encoder's rows.
    init(_ shape: FeatureWindow, golden: [Float]?) {
        let width = shape.count
        let noise = ProbeInputs.noise(width, seed: 3).map { $0 < 0.55 ? 0 : ($0 - 0.55) * 6 }
        speech = golden.flatMap { $0.count == width ? $0 : nil } ?? noise
        otherSpeech = nil
        silence = [Float](repeating: 0, count: width)
    }
}
