/// The units that a session gives next: pictures in order, 40 ms each, some still being drawn.
///
/// Makes all decisions of a session, as a value that is told the time. Pictures are numbered consecutively through idleness and
/// speech, and the number decides which template frame is shown, so the body never jumps.
struct LivePlan: Sendable {
    /// A picture to come, with its 40 ms of sound.
    struct Entry: Sendable {
        /// Identifies the entry; never used twice.
        let number: Int
        /// Number of the picture.
        let position: Int
        /// (rows, row width).
        let featureWindow: [Float]
        /// Whether the feature window hears nothing but silence.
        let isSilent: Bool
        /// In `Blend.full` parts.
        let blend: Int
        /// nil while there is no speech.
        let speech: Speech?
        fileprivate(set) var frame: Frame?
        /// It is the template as it is, and not drawn here.
        fileprivate(set) var isTemplate = false
        /// It cannot be ready in time, so it is not drawn.
        fileprivate(set) var isDropped = false
        /// The mouth that the next picture starts from; nil when it is closed.
        fileprivate var mouth: [Float]? { isSilent ? nil : featureWindow }
        /// What the mouth hears: of speech also its silences, as offline.
        fileprivate var heard: [Float]? { speech == nil ? mouth : featureWindow }
    }

    /// What an entry of speech says.
    struct Speech: Sendable {
        let sound: [Float]
        let arrival: Duration
        /// Whether a sentence begins here, after a pause or another one.
        let isFirst: Bool
        /// The number of the utterance.
        let utterance: Int
        /// Samples of each channel before the zeros that fill it up.
        let samples: Int
    }

    /// What to do next.
    enum Step {
        /// Give a unit, and say of it what it speaks.
        case give(LiveUnit, Speech?)
        /// Wait for an event, at most until this time.
        case wait(until: Duration?)
        case end
    }

    /// Units that may be planned ahead: one second.
    private static let ahead = LiveUnit.perSecond
    /// Units by which a picture of speech may come late; more would be visible.
    private static let tolerance = 2
    /// Idle pictures are planned only so far ahead, so that speech need not wait for them.
    private static let idleAhead = 2

    private let isPaced: Bool
    private let fades: Bool
    private let drawsTemplate: Bool
    private let depth: Int
    private let form: AudioFormat
    private let silence: [Float]
    private let shape: FeatureWindow
    private var entries: [Entry] = []
    private var made = 0
    /// Entries in work, those that were thrown away meanwhile too.
    private var drawing: [Int: Duration] = [:]
    /// Units that were given before their pictures were drawn.
    private var missed: [Int: (unit: Int, isSpeech: Bool)] = [:]
    /// A picture that was drawn after its unit had been given, and is newer than any that was given.
    private var late: (frame: Frame, unit: Int, isSpeech: Bool)?
    /// The picture that was given last.
    private var shown: (position: Int, blend: Int, mouth: [Float]?)?
    /// When unit 0 was given: unit n is due n·40 ms later.
    private var start: Duration?
    /// How long drawing speech takes.
    private var pace = LiveUnit.duration
    private var interrupted: Duration?
    private var timings = StageTimings()
    private var counts = LiveReport()

    /// A plan at the beginning of its session.
    ///
    /// - Parameters:
    ///   - isPaced: Whether units have a time at which they are due, and idleness fills what is not spoken.
    ///   - fades: Whether the template can be shown as it is while there is no speech.
    ///   - drawsTemplate: Whether pictures of the template as it is are drawn, too.
    ///   - depth: Pictures that may be in work at once.
    ///   - form: The form of the sound.
    ///   - silence: The feature window of digital silence.
    ///   - shape: The feature windows of the family.
    init(
        isPaced: Bool, fades: Bool, drawsTemplate: Bool = true, depth: Int, form: AudioFormat, silence: [Float],
        shape: FeatureWindow
    ) {
        self.isPaced = isPaced
        self.fades = fades
        self.drawsTemplate = drawsTemplate
        self.depth = depth
        self.form = form
        self.silence = silence
        self.shape = shape
    }

    /// Counters and latencies so far.
    var report: LiveReport {
        var report = counts
        report.latency = timings.summary()
        return report
    }

    /// Whether nothing is being drawn, cancelled pictures included.
    var isQuiet: Bool { drawing.isEmpty }

    /// Whether anything of an utterance is planned.
    func hasSpeech(of utterance: Int) -> Bool { entries.contains { $0.speech?.utterance == utterance } }

    /// Whether another unit may be planned.
    var hasRoom: Bool { entries.count < Self.ahead }

    // MARK: Planning

    /// Plans what can be planned, and gives the entries to draw.
    mutating func fill(from timeline: inout LiveTimeline, now: Duration) -> [Entry] {
        var toDraw: [Entry] = []
        while entries.count < Self.ahead {
            let isFull = drawing.count >= depth
            // Sound never waits for a picture: what is due while the machine is busy is planned without one.
            guard !isFull || due(after: entries.count) <= now, var entry = next(from: &timeline, now: now) else {
                break
            }
            // Others are in work and this one would be too late: the time is better spent on a later one.
            let isLate = entry.speech != nil && !drawing.isEmpty && due(after: entries.count) < now + pace
            entry.isTemplate = !drawsTemplate && entry.blend == 0
            entry.isDropped = !entry.isTemplate && (isFull || isLate)
            entries.append(entry)
            guard !entry.isDropped, !entry.isTemplate else { continue }
            drawing[entry.number] = now
            toDraw.append(entry)
        }
        return toDraw
    }

    /// Announces speech: idle pictures that are not due yet make room.
    ///
    /// - Returns: The numbers of the entries that are not wanted any more.
    mutating func expectSpeech(now: Duration) -> [Int] { removeIdleTail(now: now, downTo: 0) }

    /// Discards everything planned; the next picture continues from the one that was given last.
    mutating func interrupt(now: Duration) -> [Int] {
        defer { entries = [] }
        missed = [:]
        late = nil
        counts.interrupts += 1
        interrupted = now
        return entries.map(\.number)
    }

    private mutating func next(from timeline: inout LiveTimeline, now: Duration) -> Entry? {
        // A mouth that is the template's own becomes the generator's before it speaks.
        if !isPaced || last == nil || lastBlend >= Blend.full - 1 {
            let isFirst = !timeline.isBegun
            if let speech = timeline.nextSpeech() {
                if isFirst { _ = removeIdleTail(now: now, downTo: Blend.full - 1) }
                return make(
                    speech.job.featureWindow, isSilent: speech.job.isSilent, blend: Blend.full,
                    speech: Speech(
                        sound: speech.sound, arrival: speech.arrival, isFirst: isFirst, utterance: speech.utterance,
                        samples: speech.samples))
            }
        }
        guard isPaced, !timeline.isBegun, entries.count < Self.idleAhead else { return nil }
        let featureWindow = last?.mouth.map { shape.following($0, silence: silence) } ?? silence
        let isSilent = featureWindow == silence
        let wanted = !fades || !isSilent || timeline.hasSpeech ? Blend.full : 0
        let blend = last == nil ? wanted : lastBlend + (wanted - lastBlend).signum()
        return make(featureWindow, isSilent: isSilent, blend: blend, speech: nil)
    }

    private mutating func make(
        _ featureWindow: [Float], isSilent: Bool, blend: Int, speech: Speech?
    ) -> Entry {
        made += 1
        return Entry(
            number: made, position: last.map { $0.position + 1 } ?? 0, featureWindow: featureWindow, isSilent: isSilent,
            blend: blend,
            speech: speech)
    }

    private var last: (position: Int, blend: Int, mouth: [Float]?)? {
        entries.last.map { ($0.position, $0.blend, $0.mouth) } ?? shown
    }
    private var lastBlend: Int { last?.blend ?? Blend.full }

    /// Removes idle pictures from the end while their replacement can still be in time.
    private mutating func removeIdleTail(now: Duration, downTo blend: Int) -> [Int] {
        var removed: [Int] = []
        while let tail = entries.last, tail.speech == nil, due(after: entries.count - 1) >= now + pace {
            let before = entries.count > 1 ? entries[entries.count - 2].blend : shown?.blend
            guard (before ?? Blend.full) >= blend else { break }
            removed.append(tail.number)
            entries.removeLast()
        }
        return removed
    }

    // MARK: Drawing

    /// Takes a picture that was drawn.
    mutating func drawn(_ number: Int, frame: Frame?, now: Duration) {
        guard let started = drawing.removeValue(forKey: number) else { return }
        if let frame, frame.origin == .generated || frame.origin == .keptFeatures {
            pace = (pace * 3 + (now - started)) / 4
        }
        if let (unit, isSpeech) = missed.removeValue(forKey: number), let frame, unit > late?.unit ?? -1 {
            late = (frame, unit, isSpeech)
        }
        guard let index = entries.firstIndex(where: { $0.number == number }) else { return }
        if entries[index].speech != nil { timings.add("draw", now - started) }
        entries[index].frame = frame
    }

    // MARK: Giving

    /// The next unit, or the event to wait for.
    ///
    /// - Parameters:
    ///   - isEnded: Whether no speech will come any more.
    ///   - isWorking: Whether speech is on its way through the audio encoder.
    mutating func step(_ timeline: LiveTimeline, isEnded: Bool, isWorking: Bool, now: Duration) -> Step {
        if isEnded, !timeline.hasSpeech, !entries.contains(where: { $0.speech != nil }) { return .end }
        guard let first = entries.first else {
            guard isPaced, start != nil, !isWorking else { return .wait(until: nil) }
            let due = due(after: 0)
            guard now >= due else { return .wait(until: due) }
            counts.starved += 1
            return .give(unit(nil, sound: nil), nil)
        }
        guard isPaced, start != nil else {
            return first.frame == nil && !first.isTemplate ? .wait(until: nil) : .give(take(now: now), first.speech)
        }
        let due = due(after: 0)
        return now >= due ? .give(take(now: now), first.speech) : .wait(until: due)
    }

    private mutating func take(now: Duration) -> LiveUnit {
        let entry = entries.removeFirst()
        start = start ?? now
        var frame = entry.frame
        let isTemplate = entry.isTemplate
        if frame == nil, !isTemplate {
            if !entry.isDropped { missed[entry.number] = (counts.units, entry.speech != nil) }
            // A picture that is slightly late is better than none.
            if let late, late.isSpeech ? counts.units - late.unit <= Self.tolerance : entry.speech == nil {
                frame = late.frame
                missed = missed.filter { $0.value.unit > late.unit }
            }
            if frame == nil { counts.dropped += 1 } else { counts.late += 1 }
        } else {
            missed = [:]
        }
        if frame != nil || isTemplate {
            late = nil
            if let interrupted { timings.add("interrupt", now - interrupted) }
            interrupted = nil
        }
        if let speech = entry.speech {
            counts.speech += 1
            if speech.isFirst, frame != nil { timings.add("firstFrame", now - speech.arrival) }
        }
        shown = (entry.position, entry.blend, entry.mouth)
        return unit(
            frame, at: isTemplate ? entry.position : nil, heard: entry.heard, sound: entry.speech?.sound)
    }

    private mutating func unit(
        _ frame: Frame?, at templatePosition: Int? = nil, heard: [Float]? = nil, sound: [Float]?
    ) -> LiveUnit {
        defer { counts.units += 1 }
        return LiveUnit(
            index: counts.units, frame: frame, templatePosition: templatePosition,
            sound: sound ?? [Float](repeating: 0, count: form.valuesPerFrame), featureWindow: heard)
    }

    /// When the unit is due that comes after `count` more.
    private func due(after count: Int) -> Duration {
        guard isPaced, let start else { return .seconds(1 << 40) }
        return start + LiveUnit.duration * (counts.units + count)
    }
}
