import Viseme
package import VisemeFFmpeg

/// A live session as its clients use it: who may speak, what is said, and when it is over.
///
/// A `LiveSession` makes the units; a `Broadcast` shows them. Without speech nothing is drawn.
package actor Conversation {
    /// A running upload or text, until `endSpeech`.
    struct Speech: Sendable {
        fileprivate let number: Int
        /// Samples of an earlier epoch are dropped: an interruption begins a new one.
        fileprivate let epoch: Int
        /// The number of samples pushed, at 16 kHz.
        var samples = 0
    }

    package nonisolated let id: String
    package nonisolated let avatar: LoadedAvatar
    private let settings: ConversationSettings
    private let report: @Sendable (ConversationEvent) -> Void
    private let live: LiveSession
    private let broadcast: Broadcast
    private var listeners = Readers<SessionStatus>()
    private var numbers = 0
    private var speeches: [Int: Int] = [:]
    private var bare: (reader: SampleReader, epoch: Int)?
    private var turn: SpeakingTurn
    private var isDraining = false
    private var spoken: ContinuousClock.Instant?
    private var state = SessionStatus.State.idle
    private var recent: [ContinuousClock.Instant] = []
    private var counted: LiveReport
    private var lastCall = ContinuousClock.now
    private var lastSpeech = ContinuousClock.now
    private var units = 0

    /// Begins a conversation.
    ///
    /// - Parameters:
    ///   - id: Its name in messages.
    ///   - client: The client that speaking slots are counted for.
    ///   - slots: The speaking slots.
    ///   - report: Called with what metrics count.
    package init(
        id: String, avatar: LoadedAvatar, client: String, slots: SpeakingSlots, settings: ConversationSettings,
        report: @escaping @Sendable (ConversationEvent) -> Void = { _ in }
    ) async throws {
        self.id = id
        self.avatar = avatar
        self.settings = settings
        self.report = report
        turn = SpeakingTurn(slots, client: client, pauseSeconds: settings.speechPauseSeconds)
        var live = LiveSession.Settings()
        live.sound = LoadedAvatar.sound
        live.drawsTemplate = avatar.idleLoop == nil
        self.live = try await LiveSession(avatar.engine, settings: live)
        counted = await self.live.report
        broadcast = Broadcast(avatar, lagUnits: settings.viewerLagSeconds * LiveUnit.perSecond)
    }

    // MARK: Speaking

    /// Begins an upload, or a text.
    ///
    /// - Throws: `.conflict` while another one runs; `.busy` when no speaking slot is free.
    func beginSpeech() async throws -> Speech {
        let epoch = await live.epoch
        guard state != .ended else { throw ended }
        guard !isDraining else { throw VisemeError(.busy, "The server is stopping") }
        guard !speeches.values.contains(epoch) else {
            throw VisemeError(
                .conflict, "Session \(id) already has a speech request",
                hint: "Wait until that request ends, or interrupt the session.")
        }
        try refusing { try turn.begin() }
        numbers += 1
        speeches[numbers] = epoch
        lastCall = .now
        spoken = spoken ?? (state == .idle ? .now : nil)
        return Speech(number: numbers, epoch: epoch)
    }

    /// Reports refusals.
    private func refusing<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            report(.refused)
            throw error
        }
    }

    /// Ends what `beginSpeech` began.
    func endSpeech(_ speech: Speech) {
        speeches[speech.number] = nil
        lastCall = .now
    }

    /// Pushes samples; waits while they are ahead of playback.
    ///
    /// - Returns: Whether to continue; false after an interruption.
    func push(_ samples: [Float], sound: [Float], _ speech: inout Speech) async throws -> Bool {
        speech.samples += samples.count
        guard speech.samples <= settings.maxSpeechSeconds * AudioFormat.speech.rate else {
            throw VisemeError(
                .tooLarge, "The speech is longer than \(settings.maxSpeechSeconds) s",
                hint: "Send it in several requests.")
        }
        guard samples.allSatisfy(\.isFinite), sound.allSatisfy(\.isFinite) else {
            throw VisemeError(.badData, "The speech has NaN or infinite samples")
        }
        return try await push(samples, sound: sound, epoch: speech.epoch)
    }

    /// - Parameter isLast: Whether this is the end of the utterance.
    private func push(_ samples: [Float], sound: [Float], epoch: Int, isLast: Bool = false) async throws -> Bool {
        guard epoch == (await live.epoch) else { return false }
        let accepted = try refusing { try turn.accept(samples, sound: sound, isLast: isLast) }
        guard let accepted else { return true }
        return try await live.push(accepted.samples, sound: accepted.sound, epoch: epoch)
    }

    /// The reader of raw samples, shared by successive uploads, so that they join without a gap.
    func sampleReader(_ samples: RawSamples, _ speech: Speech) async throws -> SampleReader {
        if let bare, bare.epoch == speech.epoch, bare.reader.samples == samples { return bare.reader }
        if bare?.epoch == speech.epoch { try await finishSamples(speech.epoch) }
        let reader = try SampleReader(samples, sound: LoadedAvatar.sound)
        bare = (reader, speech.epoch)
        return reader
    }

    /// Ends the utterance of a speech, unless it was interrupted.
    func finish(_ speech: Speech) async throws {
        guard await live.epoch == speech.epoch else { return }
        _ = try await push([], sound: [], epoch: speech.epoch, isLast: true)
        await live.finish()
    }

    /// Ends the utterance.
    package func finish() async throws {
        lastCall = .now
        let epoch = await live.epoch
        try await finishSamples(epoch)
        _ = try await push([], sound: [], epoch: epoch, isLast: true)
        await live.finish()
    }

    private func finishSamples(_ epoch: Int) async throws {
        guard let ending = bare else { return }
        bare = nil
        guard ending.epoch == epoch else { return }
        let (samples, sound) = try await ending.reader.finish()
        _ = try await push(samples, sound: sound, epoch: epoch, isLast: true)
        await live.finish()
    }

    /// Stops speaking and ends running uploads.
    package func interrupt() async {
        lastCall = .now
        spoken = nil
        bare = nil
        turn.interrupt()
        await live.interrupt()
    }

    /// Refuses new speech, and ends the conversation after its remaining speech.
    package func drain() async {
        isDraining = true
        if speeches.isEmpty, state == .idle, await !live.hasSpeech { await end() }
    }

    /// Interrupts and ends the conversation.
    package func end() async {
        await live.interrupt()
        await live.end()
    }

    private var ended: VisemeError { VisemeError(.notFound, "Session '\(id)' has ended") }

    // MARK: Watching

    /// Adds a viewer.
    ///
    /// - Parameter disconnect: Closes the connection of a viewer that falls behind.
    /// - Throws: `.busy` at the limit of viewers.
    package func watch(
        disconnect: @escaping @Sendable () -> Void
    ) async throws -> (number: Int, reader: Reader<EncodedUnit>) {
        guard state != .ended else { throw ended }
        return try await broadcast.watch(upTo: settings.maxViewers, of: id, disconnect: disconnect)
    }

    /// Removes a viewer.
    package func leave(_ number: Int) async {
        lastCall = .now
        await broadcast.leave(number)
    }

    /// Adds a listener to events.
    package func listen(
        disconnect: @escaping @Sendable () -> Void
    ) async throws -> (number: Int, reader: Reader<SessionStatus>) {
        guard state != .ended else { throw ended }
        guard listeners.count < settings.maxViewers else {
            throw VisemeError(.busy, "\(listeners.count) clients follow session \(id) already")
        }
        // More than a minute: a busy browser is still connected.
        let listener = listeners.add(limit: 100, disconnect: disconnect)
        _ = listener.reader.send(await status())
        return listener
    }

    /// Removes a listener.
    package func leaveEvents(_ number: Int) { listeners.remove(number) }

    /// The present status.
    package func status() async -> SessionStatus {
        let (report, queued) = (await live.report, await live.queued)
        let viewers = await broadcast.viewerCount
        func latency(_ name: String) -> SessionStatus.Latency? {
            report.latency[name].map { SessionStatus.Latency(median: $0.p50, p95: $0.p95) }
        }
        return SessionStatus(
            state: state, fps: Double(picturesInLastSecond), units: report.units, dropped: report.dropped,
            late: report.late, starved: report.starved, firstFrame: latency("firstFrame"),
            interrupt: latency("interrupt"), queuedSeconds: queued / .seconds(1), viewers: viewers)
    }

    /// Gauges for metrics.
    package func gauges() async -> (fps: Int, isSpeaking: Bool, viewers: Int) {
        (picturesInLastSecond, state == .speaking, await broadcast.viewerCount)
    }

    private var picturesInLastSecond: Int {
        let since = ContinuousClock.now - .seconds(1)
        return recent.count { $0 > since }
    }

    // MARK: Running

    /// Sends one unit after the other until the conversation ends.
    package func run() async throws {
        do {
            while let unit = try await live.next() {
                let lost = try await broadcast.give(unit)
                if lost > 0 { report(.lostViewers(lost)) }
                await look(at: unit)
            }
            close()
            try await broadcast.finish(isComplete: true)
        } catch {
            // Otherwise uploads would wait for units that are never taken.
            await end()
            close()
            // Nothing is encoded here, so nothing throws.
            try? await broadcast.finish(isComplete: false)
            throw error
        }
        // The models must outlive the running inferences.
        while await !live.isQuiet { try await Task.sleep(for: .milliseconds(10)) }
    }

    private func close() {
        state = .ended
        turn.end()
        listeners.send(
            SessionStatus(
                state: .ended, fps: 0, units: units, dropped: counted.dropped, late: counted.late,
                starved: counted.starved, queuedSeconds: 0, viewers: 0))
        listeners.finish()
    }

    /// Updates state, figures and expiry after a unit.
    private func look(at unit: LiveUnit) async {
        units = unit.index + 1
        let now = ContinuousClock.now
        if unit.frame != nil || unit.templatePosition != nil { recent.append(now) }
        if recent.count > 30 { recent.removeFirst(recent.count - 30) }
        if unit.isSpeech {
            lastSpeech = now
            if let spoken { report(.spoke(after: now - spoken)) }
            spoken = nil
        }
        let hasSpeech = await live.hasSpeech
        let isHole = !unit.isSpeech && unit.frame == nil && unit.templatePosition == nil
        let next: SessionStatus.State =
            unit.isSpeech ? .speaking : isHole && hasSpeech && state != .idle ? .waiting : .idle
        let isSaid = next == .idle && speeches.isEmpty && !hasSpeech
        turn.look(isSaid: isSaid, isSpeaking: next == .speaking, at: now)
        let isNew = next != state
        state = next
        if isNew || units % 25 == 0 {
            await count()
            if listeners.count > 0 { listeners.send(await status()) }
        }
        await expire(now)
    }

    private func count() async {
        let now = await live.report
        report(.worked(from: counted, to: now))
        counted = now
    }

    /// Counts a request as a call, even if it is refused: the client still wants the conversation.
    package func touch() { lastCall = .now }

    private func expire(_ now: ContinuousClock.Instant) async {
        guard speeches.isEmpty, state == .idle else { return }
        if isDraining, await !live.hasSpeech { return await live.end() }
        let quiet = now - max(lastCall, lastSpeech)
        let isWatched = await broadcast.viewerCount > 0
        guard quiet > .seconds(isWatched ? settings.quietSeconds : settings.idleSeconds) else { return }
        await live.end()
    }
}
