package import Viseme
import VisemeFFmpeg

/// A live session as its clients use it: who may speak, what is said, and when it is over.
///
/// A `LiveSession` makes the units; a `Broadcast` shows them. Without speech nothing is drawn.
package actor Conversation {
    /// A running upload or text, until `endSpeech`.
    struct Speech: Sendable {
        fileprivate let number: Int
        /// Samples of an earlier epoch are dropped: an interruption begins a new one.
        fileprivate let epoch: Int
        /// The number of its utterance, if that has a name.
        fileprivate var utterance: Int?
        /// The number of samples pushed, at 16 kHz.
        var samples = 0
    }

    /// A named utterance that requests may continue.
    private struct Open {
        let name: String
        let number: Int
        let epoch: Int
        /// A request speaks it.
        var isRunning = true
        /// It ends with that request.
        var isFinishing = false
    }

    package nonisolated let id: String
    package nonisolated let avatar: LoadedAvatar
    let settings: ConversationSettings
    private let report: @Sendable (ConversationEvent) -> Void
    let live: LiveSession
    let broadcast: Broadcast
    let feed: UnitFeed
    var listeners = Readers<ConversationNotice>()
    var mouthReader: MouthReader?
    /// Those who are told the mouth's shape, of events and of units.
    var shapeListeners: Set<Int> = []
    var shapeReaders: Set<Int> = []
    var lastShape = MouthShape.rest
    private var numbers = 0
    private var speeches: [Int: Int] = [:]
    private var open: Open?
    private var names = UtteranceNames()
    /// Ends of utterances that were interrupted before they began.
    private var stillborn: [UnitFeed.End] = []
    private var bare: (reader: SampleReader, epoch: Int, utterance: Int?)?
    private var turn: SpeakingTurn
    private var isDraining = false
    private var spoken: ContinuousClock.Instant?
    var state = SessionStatus.State.idle
    var recent: [ContinuousClock.Instant] = []
    private var counted: LiveReport
    var lastCall = ContinuousClock.now
    private var lastSpeech = ContinuousClock.now
    private var units = 0

    /// Begins a conversation.
    ///
    /// - Parameters:
    ///   - id: Its name in messages.
    ///   - client: The client that speaking slots are counted for.
    ///   - slots: The speaking slots.
    ///   - pace: The clock.
    ///   - report: Called with what metrics count.
    package init(
        id: String, avatar: LoadedAvatar, client: String, slots: SpeakingSlots, settings: ConversationSettings,
        pace: LivePace = .realTime, report: @escaping @Sendable (ConversationEvent) -> Void = { _ in }
    ) async throws {
        self.id = id
        self.avatar = avatar
        self.settings = settings
        self.report = report
        turn = SpeakingTurn(slots, client: client, pauseSeconds: settings.speechPauseSeconds)
        var live = LiveSession.Settings()
        live.sound = LoadedAvatar.sound
        live.drawsTemplate = avatar.idleLoop == nil
        live.pace = pace
        self.live = try await LiveSession(avatar.engine, settings: live)
        counted = await self.live.report
        let lagUnits = settings.viewerLagSeconds * LiveUnit.perSecond
        (broadcast, feed) = (Broadcast(avatar, lagUnits: lagUnits), UnitFeed(avatar, lagUnits: lagUnits))
    }

    // MARK: Speaking

    /// Begins an upload, or a text.
    ///
    /// - Parameter name: The name of its utterance: a new one, or that of the utterance that is spoken into and not finished.
    /// - Throws: `.usage` for an invalid name; `.conflict` while another request runs, and for a name that was used; `.busy` when no
    ///   speaking slot is free.
    func beginSpeech(utterance name: String? = nil) async throws -> Speech {
        let epoch = await live.epoch
        guard state != .ended else { throw ended }
        guard !isDraining else { throw VisemeError(.busy, "The server is stopping") }
        guard !speeches.values.contains(epoch) else {
            throw VisemeError(
                .conflict, "Session \(id) already has a speech request",
                hint: "Wait until that request ends, or interrupt the session.")
        }
        if let name {
            try UtteranceNames.check(name)
            if open?.name != name || open?.epoch != epoch { try names.checkNew(name) }
        }
        try refusing { try turn.begin() }
        var speech = Speech(number: reserve(epoch), epoch: epoch)
        lastCall = .now
        spoken = spoken ?? (state == .idle ? .now : nil)
        do {
            speech.utterance = try await utterance(named: name, epoch)
        } catch {
            speeches[speech.number] = nil
            throw error
        }
        return speech
    }

    /// Whether a speech request runs.
    var isSpeechRequested: Bool { !speeches.isEmpty }

    /// Keeps other speech requests out until the number is removed from `speeches`.
    private func reserve(_ epoch: Int) -> Int {
        numbers += 1
        speeches[numbers] = epoch
        return numbers
    }

    /// The utterance of a request: the open one if it has this name, otherwise a new one.
    private func utterance(named name: String?, _ epoch: Int) async throws -> Int? {
        if let open, open.epoch == epoch, open.name == name {
            self.open?.isRunning = true
            return open.number
        }
        if open != nil || name != nil { try await finishUtterance(epoch) }
        guard let name else { return nil }
        let number = await live.beginUtterance(epoch: epoch)
        names.add(name, number: number)
        guard let number else {
            stillborn.append(UnitFeed.End(name: name, position: 0, isInterrupted: true))
            return nil
        }
        open = Open(name: name, number: number, epoch: epoch)
        return number
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

    /// Ends what `beginSpeech` began, and its utterance if that was asked for meanwhile.
    func endSpeech(_ speech: Speech) async throws {
        lastCall = .now
        defer { speeches[speech.number] = nil }
        guard let open, open.number == speech.utterance else { return }
        self.open?.isRunning = false
        if open.isFinishing { try await finishUtterance(speech.epoch) }
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
        return try await push(samples, sound: sound, epoch: speech.epoch, utterance: speech.utterance)
    }

    /// - Parameter isLast: Whether this is the end of the utterance.
    private func push(
        _ samples: [Float], sound: [Float], epoch: Int, utterance: Int?, isLast: Bool = false
    ) async throws -> Bool {
        guard epoch == (await live.epoch) else { return false }
        let accepted = try refusing { try turn.accept(samples, sound: sound, isLast: isLast) }
        guard let accepted else { return true }
        return try await live.push(accepted.samples, sound: accepted.sound, epoch: epoch, utterance: utterance)
    }

    /// The reader of raw samples, shared by successive uploads, so that they join without a gap.
    func sampleReader(_ samples: RawSamples, _ speech: Speech) async throws -> SampleReader {
        if let bare, bare.epoch == speech.epoch, bare.reader.samples == samples { return bare.reader }
        if bare?.epoch == speech.epoch { try await finishSamples(speech.epoch) }
        let reader = try SampleReader(samples, sound: LoadedAvatar.sound)
        bare = (reader, speech.epoch, speech.utterance)
        return reader
    }

    /// Makes what follows begin after the raw samples before it.
    func joinSamples(before speech: Speech) async throws { try await finishSamples(speech.epoch) }

    /// Ends the utterance of a speech, unless it was interrupted.
    func finish(_ speech: Speech) async throws {
        guard await live.epoch == speech.epoch else { return }
        try await finishUtterance(speech.epoch)
    }

    /// Ends the utterance. A named one that a request speaks ends with that request.
    package func finish() async throws {
        lastCall = .now
        let epoch = await live.epoch
        guard let open, open.epoch == epoch else { return try await finishUtterance(epoch) }
        self.open?.isFinishing = true
        guard !open.isRunning else { return }
        // Until the rest was taken, no other request may begin an utterance.
        let number = reserve(epoch)
        defer { speeches[number] = nil }
        try await finishUtterance(epoch)
    }

    private func finishUtterance(_ epoch: Int) async throws {
        let number = open?.epoch == epoch ? open?.number : nil
        try await finishSamples(epoch)
        _ = try await push([], sound: [], epoch: epoch, utterance: number, isLast: true)
        await live.finish(number)
        if open?.number == number { open = nil }
    }

    /// Drains the resamplers of raw samples. Without a name, that ends the utterance.
    private func finishSamples(_ epoch: Int) async throws {
        guard let ending = bare else { return }
        bare = nil
        guard ending.epoch == epoch else { return }
        let (samples, sound) = try await ending.reader.finish()
        _ = try await push(samples, sound: sound, epoch: epoch, utterance: ending.utterance, isLast: true)
        if ending.utterance == nil { await live.finish() }
    }

    /// Stops speaking and ends running uploads.
    package func interrupt() async {
        lastCall = .now
        (spoken, bare, open) = (nil, nil, nil)
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

    var ended: VisemeError { VisemeError(.notFound, "Session '\(id)' has ended") }

    // MARK: Running

    /// Sends one unit after the other until the conversation ends.
    package func run() async throws {
        do {
            while let unit = try await live.next() {
                await look(at: unit)
                try await give(unit)
            }
            await close()
            try await broadcast.finish(isComplete: true)
        } catch {
            // Otherwise uploads would wait for units that are never taken.
            await end()
            await close()
            // Nothing is encoded here, so nothing throws.
            try? await broadcast.finish(isComplete: false)
            throw error
        }
        // The models must outlive the running inferences.
        while await !live.isQuiet { try await Task.sleep(for: .milliseconds(10)) }
    }

    /// Sends a unit to everyone, and tells which utterances began and ended.
    private func give(_ unit: LiveUnit) async throws {
        let ends = takeEnds(unit.ends)
        let name = unit.utterance.map { names.name(of: $0.number) } ?? ""
        let shape = try await shape(of: unit)
        let readers = try await feed.give(unit, shape: shape, name: name, ends: ends, state: state.ofUnits)
        let viewers = try await broadcast.give(unit)
        if readers + viewers > 0 { report(.lostViewers(readers + viewers)) }
        if let shape { tell(shape, of: unit) }
        tell(ends)
        guard let utterance = unit.utterance else { return }
        if utterance.isFirst { tell(name, .started, at: 0) }
        guard utterance.isLast else { return }
        tell(name, .finished, at: utterance.position)
        _ = names.end(utterance.number)
    }

    /// The ends with their names.
    private func takeEnds(_ ends: [LiveUtterance.End]) -> [UnitFeed.End] {
        defer { stillborn = [] }
        return stillborn
            + ends.map { end in
                UnitFeed.End(name: names.end(end.number), position: end.position, isInterrupted: end.isInterrupted)
            }
    }

    private func tell(_ ends: [UnitFeed.End]) {
        for end in ends { tell(end.name, end.isInterrupted ? .interrupted : .finished, at: end.position) }
    }

    /// Tells the listeners of a named utterance.
    private func tell(_ name: String, _ state: UtteranceNotice.State, at position: Int) {
        guard !name.isEmpty else { return }
        listeners.send(
            .utterance(UtteranceNotice(id: name, state: state, position: position, rate: LoadedAvatar.sound.rate)))
    }

    private func close() async {
        state = .ended
        turn.end()
        let ends = takeEnds(await live.remainingEnds())
        await feed.finish(ends, number: units, epoch: await live.epoch)
        tell(ends)
        listeners.send(
            .status(
                SessionStatus(
                    state: .ended, fps: 0, units: units, dropped: counted.dropped, late: counted.late,
                    starved: counted.starved, queuedSeconds: 0, viewers: 0)))
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
            if listeners.count > 0 { listeners.send(.status(await status())) }
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
        let isWatched = await watching() > 0
        guard quiet > .seconds(isWatched ? settings.quietSeconds : settings.idleSeconds) else { return }
        await live.end()
    }
}
