/// Speech that was pushed to a session and is not planned yet: utterances in order, each with its sound.
///
/// A value like the `SpeechTimeline` inside it: no clock (times are told), no I/O, no model. However the samples are cut, the
/// frames are the same.
struct LiveTimeline: Sendable {
    /// One frame of speech.
    struct Speech: Sendable {
        /// What to draw; its index counts from the beginning of the utterance.
        var job: FrameJob
        /// Its 40 ms, in the session's form.
        var sound: [Float]
        /// When the last sample came that it needs.
        var arrival: Duration
        /// The number of its utterance.
        var utterance: Int
        /// Samples of each channel of its sound before the zeros that fill it up.
        var samples: Int
    }

    /// Speech from its first sample to `finish()`: an utterance, or a part of one that went on after a pause.
    private struct Utterance: Sendable {
        let number: Int
        /// The number of the utterance in the session.
        let name: Int
        var speech: SpeechTimeline
        var sound = SoundQueue()
        var isFinished = false
        var taken = 0
        /// When the frames from `taken` on had all that they need.
        var arrivals: [Duration] = []
    }

    private let form: AudioFormat
    private let family: GeneratorFamily
    private let choice: FeatureWindow.Choice
    private let lookahead: Int
    private var utterances: [Utterance] = []
    private var begun = 0

    /// The number of interruptions: samples from before one belong to an older epoch.
    private(set) var epoch = 0

    init(form: AudioFormat, family: GeneratorFamily, choice: FeatureWindow.Choice, lookahead: Int) {
        self.form = form
        self.family = family
        self.choice = choice
        self.lookahead = lookahead
    }

    /// Whether there is anything to speak, complete or not.
    var hasSpeech: Bool { !utterances.isEmpty }
    /// Whether frames of the current utterance were taken.
    var isBegun: Bool { utterances.first.map { $0.taken > 0 } ?? false }
    /// Whether the current utterance has not ended and its next frame lacks samples.
    var isStarving: Bool { utterances.first.map { !$0.isFinished && $0.arrivals.isEmpty } ?? false }
    /// Samples that wait. The last frame of what is finished counts as a whole, so that many short utterances are bounded, too.
    var queuedSamples: Int {
        utterances.reduce(0) { sum, utterance in
            let frames = utterance.speech.frameTotal ?? 0
            let samples = max(utterance.speech.sampleCount, frames * family.samplesPerFrame)
            return sum + max(0, samples - utterance.taken * family.samplesPerFrame)
        }
    }

    /// Whether anything of an utterance waits.
    func hasSpeech(of utterance: Int) -> Bool { utterances.contains { $0.name == utterance } }

    /// Takes samples and their sound; after `finish()` they begin a new part of an utterance, or another one.
    mutating func append(_ samples: [Float], sound: [Float], of utterance: Int, at time: Duration) {
        if utterances.last?.isFinished ?? true {
            begun += 1
            utterances.append(
                Utterance(
                    number: begun, name: utterance,
                    speech: SpeechTimeline(family, choice: choice, lookahead: lookahead)))
        }
        let last = utterances.count - 1
        utterances[last].speech.append(samples)
        utterances[last].sound.append(sound)
        let speech = utterances[last].speech
        while speech.sampleCount
            >= speech.samplesNeeded(forFrame: utterances[last].taken + utterances[last].arrivals.count)
        {
            utterances[last].arrivals.append(time)
        }
    }

    /// Ends the utterance that came last.
    mutating func finish(at time: Duration) {
        guard let last = utterances.indices.last, !utterances[last].isFinished else { return }
        utterances[last].isFinished = true
        utterances[last].speech.finish()
        let left = (utterances[last].speech.frameTotal ?? 0) - utterances[last].taken - utterances[last].arrivals.count
        utterances[last].arrivals += [Duration](repeating: time, count: max(0, left))
        dropSpent()
    }

    /// Forgets everything.
    mutating func interrupt() {
        epoch += 1
        utterances = []
    }

    /// Mel windows that the next frame of the current utterance lacks, and the utterance's number.
    ///
    /// No further ahead: an interruption would discard the work.
    mutating func takeMelWindows(limit: Int) -> (melWindows: [Float], count: Int, utterance: Int)? {
        guard let first = utterances.first, !first.speech.isFrameReady else { return nil }
        let (melWindows, count) = utterances[0].speech.takeMelWindows(limit: limit)
        return count > 0 ? (melWindows, count, utterances[0].number) : nil
    }

    /// Takes the encoder's rows. Rows of an utterance that has ended or was interrupted are discarded.
    mutating func accept(rows: [Float], utterance: Int) {
        guard utterances.first?.number == utterance else { return }
        utterances[0].speech.accept(rows: rows)
    }

    /// The next frame of speech, if everything that it needs is there.
    mutating func nextSpeech() -> Speech? {
        guard let first = utterances.first, first.isFinished || first.sound.count >= form.valuesPerFrame,
            let job = utterances[0].speech.nextFrame()
        else { return nil }
        let speech = Speech(
            job: job, sound: utterances[0].sound.take(form.valuesPerFrame), arrival: utterances[0].arrivals[0],
            utterance: first.name, samples: min(first.sound.count, form.valuesPerFrame) / form.channels)
        utterances[0].arrivals.removeFirst()
        utterances[0].taken += 1
        dropSpent()
        return speech
    }

    private mutating func dropSpent() {
        while let first = utterances.first, let total = first.speech.frameTotal, first.taken >= total {
            utterances.removeFirst()
        }
    }
}

/// Sound that waits for its frames.
private struct SoundQueue: Sendable {
    private var values: [Float] = []
    private var start = 0

    var count: Int { values.count - start }

    mutating func append(_ new: [Float]) { values += new }

    /// Takes `wanted` values from the front; zeros where the end came before.
    mutating func take(_ wanted: Int) -> [Float] {
        let end = min(values.count, start + wanted)
        var taken = Array(values[start..<end])
        taken += [Float](repeating: 0, count: wanted - taken.count)
        start = end
        // Now and then only: moving what is left for every frame would cost more than the frame's sound.
        if start > 1 << 17 || start == values.count {
            values.removeFirst(start)
            start = 0
        }
        return taken
    }
}
