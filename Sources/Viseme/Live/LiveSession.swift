/// A live conversation: the caller pushes samples as they arrive and pulls units of one frame with its 40 ms of sound.
///
/// ```swift
/// let session = try await LiveSession(engine)
/// Task { for await chunk in microphone { try await session.push(chunk) } }
/// for try await unit in session.units { show(try unit.frame?.image); play(unit.sound) }
/// ```
///
/// The frames of an utterance equal those of an offline render of the same samples, however these were cut. Between utterances a
/// paced session is idle: the template goes on, its mouth closed, and the generator rests. Everything that waits is bounded:
/// a producer that is far ahead is suspended in `push`, and nothing is drawn that is not due within a second.
///
/// One consumer; any number of producers: the samples of one call of `push` stay together, calls are served in their order.
public actor LiveSession {
    /// How a session works.
    public struct Settings: Sendable {
        /// The sound that travels with the frames.
        public var sound = AudioFormat.speech
        /// How much audio after its own start a frame uses: the least delay of an utterance. At least the frame's own 40 ms, at most,
        /// and usually, the family's `lookaheadDuration` (SyncTalk_2D: 452.5 ms); less costs quality; audio beyond counts as outside of
        /// the speech.
        public var lookahead: Duration?
        /// The clock.
        public var pace = LivePace.realTime
        /// Speech that may wait to be shown, at least half a second; a producer that is further ahead waits.
        public var buffer: Duration = .seconds(10)
        /// An utterance ends when no samples arrive for this long, as if `finish()` had been called.
        public var patience: Duration = .milliseconds(400)
        /// Whether pictures of the template as it is are drawn. Otherwise a unit names the picture (`templatePosition`):
        /// callers who have the picture, or no viewers, need not decode it.
        public var drawsTemplate = true

        /// The usual settings.
        public init() {}
    }

    /// Mel windows in one run of the audio encoder: what the first frame of an utterance needs, and no more.
    private static let batch = 8
    /// Samples that are taken at once; longer pieces would keep units waiting.
    private static let piece = 3200

    private let engine: Engine
    private let settings: Settings
    private let bufferSamples: Int
    private var timeline: LiveTimeline
    private var plan: LivePlan
    private var ledger = UtteranceLedger()
    private var lockstep: Lockstep
    private var planner: DrawPlanner
    private var draws: [Int: Task<Void, Never>] = [:]
    private var encoding: Task<Void, Never>?
    private var lastPush: Duration = .zero
    private var isEnded = false
    private var failure: (any Error)?
    private var consumer: CheckedContinuation<Void, Never>?
    private var producers: [CheckedContinuation<Void, Never>] = []
    /// Calls of `push` that are not done, in their order; the first one's samples are taken.
    private var pushes: [Int] = []
    /// Calls of `push` so far.
    private(set) var pushesBegun = 0
    private var alarm: (time: Duration, task: Task<Void, Never>)?

    /// Starts a session.
    ///
    /// - Parameters:
    ///   - engine: The avatar; any number of sessions may share it.
    ///   - settings: Sound, look-ahead, pace and bounds.
    /// - Throws: what the audio encoder throws at digital silence.
    public init(_ engine: Engine, settings: Settings = Settings()) async throws {
        self.engine = engine
        self.settings = settings
        let family = engine.avatar.family
        let buffer = settings.buffer / .milliseconds(1) * (Double(family.mel.sampleRate) / 1000)
        bufferSamples = max(family.mel.sampleRate / 2, Int(buffer))
        let silence = family.featureWindow.filled(with: try await engine.encode(family.silentMelWindow, count: 1))
        lockstep = Lockstep(rate: family.mel.sampleRate, form: settings.sound)
        timeline = LiveTimeline(
            form: settings.sound, family: family, choice: engine.avatar.manifest.featureWindow,
            lookahead: family.lookahead(within: settings.lookahead ?? family.lookaheadDuration))
        plan = LivePlan(
            isPaced: settings.pace.isPaced, fades: engine.avatar.isIdleThroughout,
            drawsTemplate: settings.drawsTemplate, depth: engine.parallelism.depth, form: settings.sound,
            silence: silence, shape: family.featureWindow)
        planner = DrawPlanner(engine, first: 0, idle: silence)
    }

    deinit {
        draws.values.forEach { $0.cancel() }
        encoding?.cancel()
        alarm?.task.cancel()
    }

    // MARK: Speaking

    /// The number of interruptions so far: samples pushed before an interruption belong to an older epoch.
    public var epoch: Int { timeline.epoch }

    /// Counters and latencies so far.
    public var report: LiveReport { plan.report }

    /// Whether speech is left, complete or not.
    public var hasSpeech: Bool { timeline.hasSpeech }

    /// Speech that waits to be shown.
    public var queued: Duration { .milliseconds(timeline.queuedSamples * 1000 / engine.avatar.family.mel.sampleRate) }

    /// Begins an utterance and ends the one before. Samples that are pushed with its number belong to it until `finish()`, `interrupt()`
    /// or the next utterance, however long they pause: then the mouth closes, and the utterance goes on afterwards.
    ///
    /// - Parameter epoch: The epoch that it belongs to; nil for the present one.
    /// - Returns: Its number; nil when the epoch is over.
    public func beginUtterance(epoch: Int? = nil) -> Int? {
        guard epoch ?? timeline.epoch == timeline.epoch else { return nil }
        endUtterance()
        return ledger.begin(isHeld: true)
    }

    /// The utterance that samples belong to now; without a number they continue or begin one that a pause ends.
    private func utterance(_ number: Int?) -> Int? {
        if let number { return ledger.open?.number == number ? number : nil }
        if let open = ledger.open, !open.isHeld { return open.number }
        endUtterance()
        return ledger.begin(isHeld: false)
    }

    /// Takes samples, and waits while more than the buffer waits to be shown, or an earlier call is not done.
    ///
    /// - Parameters:
    ///   - samples: Mono, 16 kHz, −1…1, any number: what the mouth follows.
    ///   - sound: The same stretch of sound in the session's form, interleaved: what is given along with the frames. It may
    ///     run ahead of or behind `samples` by what a resampler holds back. nil when the form is 16 kHz mono.
    ///   - epoch: The epoch that these samples belong to; nil for the present one.
    ///   - number: What `beginUtterance()` gave; nil for an utterance without.
    /// - Returns: Whether everything was taken; false when the epoch or the utterance is over, or after `end()`.
    /// - Throws: the error that ended the session; `CancellationError`.
    @discardableResult
    public func push(
        _ samples: [Float], sound: [Float]? = nil, epoch: Int? = nil, utterance number: Int? = nil
    ) async throws -> Bool {
        precondition(sound != nil || settings.sound == .speech, "the sound must come in the session's form")
        let epoch = epoch ?? timeline.epoch
        pushesBegun += 1
        let ticket = pushesBegun
        pushes.append(ticket)
        defer {
            pushes.removeAll { $0 == ticket }
            resumeProducers()
        }
        let sound = sound ?? samples
        var (taken, soundTaken) = (0, 0)
        repeat {
            while epoch == timeline.epoch, !isEnded,
                pushes.first != ticket || timeline.queuedSamples >= bufferSamples
            {
                try await room()
            }
            if let failure { throw failure }
            guard epoch == timeline.epoch, !isEnded, let utterance = utterance(number) else { return false }
            let end = min(samples.count, taken + Self.piece)
            let soundEnd = end == samples.count ? sound.count : sound.count * end / samples.count
            let now = settings.pace.now()
            let wasSilent = !timeline.hasSpeech
            let (passed, heard) = lockstep.pass(
                Array(samples[taken..<end]), sound: Array(sound[soundTaken..<soundEnd]))
            if !passed.isEmpty { timeline.append(passed, sound: heard, of: utterance, at: now) }
            if wasSilent, timeline.hasSpeech { cancel(plan.expectSpeech(now: now)) }
            lastPush = now
            (taken, soundTaken) = (end, soundEnd)
            advance()
        } while taken < samples.count
        return true
    }

    /// Ends the utterance: its last frames need no more samples. What is pushed next begins another one.
    ///
    /// - Parameter utterance: What `beginUtterance()` gave; nil for samples that were pushed without. Another utterance is not ended.
    public func finish(_ utterance: Int? = nil) {
        guard let open = ledger.open, utterance == (open.isHeld ? open.number : nil) else { return }
        endUtterance()
        advance()
        wake()
    }

    private func endUtterance() {
        let now = settings.pace.now()
        let (samples, sound) = lockstep.flush()
        if let open = ledger.open, !samples.isEmpty {
            timeline.append(samples, sound: sound, of: open.number, at: now)
        }
        ledger.finish()
        timeline.finish(at: now)
    }

    /// Ends the utterance and, once it is spoken, the session.
    public func end() {
        isEnded = true
        endUtterance()
        resumeProducers()
        advance()
        wake()
    }

    /// Stops speaking: everything that was pushed and not yet given is dropped, and the mouth closes.
    public func interrupt() {
        timeline.interrupt()
        ledger.interrupt()
        _ = lockstep.flush()
        cancel(plan.interrupt(now: settings.pace.now()))
        encoding?.cancel()
        encoding = nil
        resumeProducers()
        advance()
        wake()
    }

    // MARK: Giving

    /// The units, in order.
    public nonisolated var units: Units { Units(session: self) }

    /// The next unit; nil once the session has ended and everything was given.
    ///
    /// A paced session gives unit n no earlier than n·40 ms after the first. A later call returns at once.
    ///
    /// - Throws: what a model or the template throws; `CancellationError`. Then the session is over.
    public func next() async throws -> LiveUnit? {
        while true {
            try Task.checkCancellation()
            if let failure { throw failure }
            let now = settings.pace.now()
            if settings.pace.isPaced, isStarving, now - lastPush >= settings.patience { pause(at: now) }
            advance()
            switch plan.step(timeline, isEnded: isEnded, isWorking: encoding != nil, now: now) {
            case .give(var unit, let speech):
                unit.ends = ledger.takeEnds { $0 == speech?.utterance || hasSpeech(of: $0) }
                unit.epoch = timeline.epoch
                if let speech {
                    unit.utterance = ledger.give(
                        speech.utterance, samples: speech.samples, isRest: !hasSpeech(of: speech.utterance))
                }
                advance()
                resumeProducers()
                return unit
            case .wait(let time): await sleep(until: time)
            case .end:
                cancel(Array(draws.keys))
                return nil
            }
        }
    }

    /// Whether the next samples of an utterance are missing.
    private var isStarving: Bool { timeline.isStarving || !timeline.hasSpeech && lockstep.isHolding }

    /// The samples of the utterance pause: the mouth closes, and only an utterance that was begun goes on afterwards.
    private func pause(at now: Duration) {
        if ledger.open?.isHeld == true { timeline.finish(at: now) } else { endUtterance() }
    }

    private func hasSpeech(of utterance: Int) -> Bool {
        timeline.hasSpeech(of: utterance) || plan.hasSpeech(of: utterance)
    }

    /// The ends of utterances that no unit told, once there are no more units.
    public func remainingEnds() -> [LiveUtterance.End] { ledger.takeEnds(isWaiting: hasSpeech(of:)) }

    /// The units of a session.
    public struct Units: AsyncSequence, Sendable {
        let session: LiveSession

        /// Starts where the session is.
        public func makeAsyncIterator() -> Iterator { Iterator(session: session) }

        /// Gives one unit after the other.
        public struct Iterator: AsyncIteratorProtocol {
            let session: LiveSession

            /// The next unit, or nil after the last one.
            public mutating func next() async throws -> LiveUnit? { try await session.next() }
        }
    }

    // MARK: Working

    /// Whether nothing is being drawn or encoded: after the last unit what was cancelled may still be in work.
    public var isQuiet: Bool { plan.isQuiet && encoding == nil }

    /// Starts whatever can be started.
    private func advance() {
        guard failure == nil else { return }
        for entry in plan.fill(from: &timeline, now: settings.pace.now()) { draw(entry) }
        guard encoding == nil, plan.hasRoom,
            let (melWindows, count, utterance) = timeline.takeMelWindows(limit: Self.batch)
        else { return }
        let engine = engine
        let epoch = timeline.epoch
        encoding = Task { @concurrent [weak self] in
            let rows: Result<[Float], any Error>
            do { rows = .success(try await engine.encode(melWindows, count: count)) } catch { rows = .failure(error) }
            await self?.encoded(rows, utterance: utterance, epoch: epoch)
        }
    }

    private func encoded(_ rows: Result<[Float], any Error>, utterance: Int, epoch: Int) {
        guard epoch == timeline.epoch else { return }
        encoding = nil
        switch rows {
        case .success(let rows): timeline.accept(rows: rows, utterance: utterance)
        case .failure(let error): fail(error)
        }
        advance()
        wake()
    }

    private func draw(_ entry: LivePlan.Entry) {
        let job = planner.plan(
            FrameJob(index: entry.position, featureWindow: entry.featureWindow, isSilent: entry.isSilent),
            blend: entry.blend)
        let engine = engine
        let number = entry.number
        draws[number] = Task { @concurrent [weak self] in
            let frame: Result<Frame, any Error>
            do {
                try Task.checkCancellation()
                frame = .success(try await engine.draw(job))
            } catch { frame = .failure(error) }
            await self?.drawn(number, frame)
        }
    }

    private func drawn(_ number: Int, _ frame: Result<Frame, any Error>) {
        let isWanted = draws.removeValue(forKey: number) != nil
        switch frame {
        case .success(let frame): plan.drawn(number, frame: frame, now: settings.pace.now())
        case .failure(let error):
            plan.drawn(number, frame: nil, now: settings.pace.now())
            if isWanted { fail(error) }
        }
        advance()
        wake()
    }

    private func cancel(_ numbers: [Int]) {
        for number in numbers { draws.removeValue(forKey: number)?.cancel() }
    }

    private func fail(_ error: any Error) {
        failure = failure ?? error
        resumeProducers()
    }

    // MARK: Waiting

    /// Suspends the consumer until something happens, or the time has come.
    private func sleep(until time: Duration?) async {
        if let time, alarm?.time != time {
            alarm?.task.cancel()
            let sleep = settings.pace.sleep
            let task = Task { @concurrent [weak self] in
                // Only cancellation ends the sleep early; then there is no waiter.
                guard (try? await sleep(time)) != nil else { return }
                await self?.ring(time)
            }
            alarm = (time, task)
        }
        precondition(consumer == nil, "a session has one consumer")
        await withTaskCancellationHandler {
            await withCheckedContinuation { consumer = $0 }
        } onCancel: {
            Task { await self.wake() }
        }
    }

    private func ring(_ time: Duration) {
        if alarm?.time == time { alarm = nil }
        wake()
    }

    private func wake() {
        consumer?.resume()
        consumer = nil
    }

    /// Suspends a producer until something was given, or another call is done.
    private func room() async throws {
        await withTaskCancellationHandler {
            await withCheckedContinuation { producers.append($0) }
        } onCancel: {
            Task { await self.resumeProducers() }
        }
        try Task.checkCancellation()
        if let failure { throw failure }
    }

    private func resumeProducers() {
        producers.forEach { $0.resume() }
        producers = []
    }
}
