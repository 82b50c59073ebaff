import Viseme

extension PackProbes {
    /// Runs the articulator, where the pack has one: another sound must give another mouth, and its golden answer must come back.
    func shapes(_ sounds: ProbeSounds, _ report: inout DoctorReport) async throws {
        guard let articulator else { return report.skip(.articulator, "the pack has none: it tells no mouth shapes") }
        let speech = try await articulator.articulate(sounds.speech)
        Self.articulator(speech: speech, silence: try await articulator.articulate(sounds.silence), &report)
        _ = try await goldenAnswer(of: .articulator, &report)
    }

    /// Judges an articulator's answers to speech and to silence.
    static func articulator(speech: [Float], silence: [Float], _ report: inout DoctorReport) {
        guard let heard = try? MouthShape(values: speech), let rest = try? MouthShape(values: silence) else {
            return report.bad(
                .articulator,
                "the articulator answers with \(speech.count) values a frame, or with some that are no numbers",
                "Export it again from its checkpoint.")
        }
        let difference = TensorDifference("speech against silence", speech, silence)
        let sum = heard.phones.reduce(0, +)
        if abs(sum - 1) > 1e-3 || heard.phones.contains(where: { $0 < 0 }) {
            report.bad(
                .articulator, "the phones' probabilities add up to \(TensorDifference.text(Double(sum))), expected 1",
                "Export it again; look for a softmax that is missing.")
        } else if difference.maximum < 0.02 {
            report.bad(
                .articulator, "the articulator ignores the audio: \(difference.line)",
                "Every sound gives the same mouth. Export it again; look for a constant in place of the audio input.")
        } else {
            report.good(
                .articulator,
                "speech opens the mouth by \(TensorDifference.text(Double(heard.opening))), silence by "
                    + "\(TensorDifference.text(Double(rest.opening))); the values change by up to \(TensorDifference.text(difference.maximum))"
            )
        }
    }
}
