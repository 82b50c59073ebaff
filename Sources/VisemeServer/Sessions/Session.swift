import Foundation
import Logging
import Viseme
import VisemeFFmpeg

/// A live session that clients speak into and watch: a `LiveSession`, encoded once for all viewers.
///
/// Without viewers nothing is encoded. Without speech nothing is drawn: the avatar's shared loop is sent.
actor Session {
    /// A running upload or text, until `endSpeech`.
    struct Speech: Sendable {
        fileprivate let number: Int
        /// Samples of an earlier epoch are dropped: an interruption begins a new one.
        fileprivate let epoch: Int
        /// The number of samples pushed, at 16 kHz.
        var samples = 0
    }

    nonisolated let id: String
    nonisolated let avatar: LoadedAvatar
    nonisolated let client: String
    private nonisolated let secretHash: String
    private let live: LiveSession
    private let dependencies: Dependencies
    private var encoder: LiveEncoder?
    /// The number of the unit at which the encoder's sound began.
    private var soundStart = 0
    private var splice = SplicePlan()
    private var shown: (any Picture)?
    private var shownTemplate: Int?
    private var viewers: [Int: (reader: Reader<EncodedUnit>, isStarted: Bool)] = [:]
    private var listeners: [Int: Reader<SessionStatus>] = [:]
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

    /// Begins a session.
    ///
    /// - Parameters:
    ///   - secret: The secret that authorizes requests; only its hash is kept.
    ///   - client: The client that created it.
    init(id: String, secret: String, avatar: LoadedAvatar, client: String, _ dependencies: Dependencies) async throws {
        self.id = id
        self.avatar = avatar
        self.client = client
        self.dependencies = dependencies
        turn = SpeakingTurn(
            dependencies.slots, client: client, pauseSeconds: dependencies.configuration.speechPauseSeconds)
        secretHash = hexDigest(of: secret)
        var settings = LiveSession.Settings()
        settings.sound = LoadedAvatar.sound
        settings.drawsTemplate = avatar.idleLoop == nil
        live = try await LiveSession(avatar.engine, settings: settings)
        counted = await live.report
    }

    /// Whether this is the session's secret.
    nonisolated func isOpened(by secret: String) -> Bool {
        equalInConstantTime(hexDigest(of: secret), secretHash)
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

    /// Counts refusals.
    private func refusing<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            dependencies.metrics.count("refused_total", label: ("reason", "speaking"))
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
        guard speech.samples <= dependencies.configuration.maxSpeechSeconds * 16_000 else {
            throw VisemeError(
                .tooLarge, "The speech is longer than \(dependencies.configuration.maxSpeechSeconds) s",
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
    func finish() async throws {
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
    func interrupt() async {
        lastCall = .now
        spoken = nil
        bare = nil
        turn.interrupt()
        await live.interrupt()
    }

    /// Refuses new speech, and ends the session after its remaining speech.
    func drain() async {
        isDraining = true
        if speeches.isEmpty, state == .idle, await !live.hasSpeech { await end() }
    }

    /// Interrupts and ends the session.
    func end() async {
        await live.interrupt()
        await live.end()
    }

    private var ended: VisemeError { VisemeError(.notFound, "Session '\(id)' has ended") }

    // MARK: Watching

    /// Adds a viewer.
    ///
    /// - Parameter disconnect: Closes the connection of a viewer that falls behind.
    /// - Throws: `.busy` at the limit of viewers.
    func watch(disconnect: @escaping @Sendable () -> Void) throws -> (number: Int, reader: Reader<EncodedUnit>) {
        guard state != .ended else { throw ended }
        guard viewers.count < dependencies.configuration.maxViewersPerSession else {
            throw VisemeError(.busy, "Session \(id) has \(viewers.count) viewers already")
        }
        numbers += 1
        let reader = Reader<EncodedUnit>(
            limit: dependencies.configuration.viewerLagSeconds * 25, disconnect: disconnect)
        viewers[numbers] = (reader, false)
        return (numbers, reader)
    }

    /// Removes a viewer.
    func leave(_ number: Int) {
        viewers[number] = nil
        lastCall = .now
    }

    /// Adds a listener to the session's events.
    func listen(disconnect: @escaping @Sendable () -> Void) async throws -> (number: Int, reader: Reader<SessionStatus>)
    {
        guard state != .ended else { throw ended }
        guard listeners.count < dependencies.configuration.maxViewersPerSession else {
            throw VisemeError(.busy, "\(listeners.count) clients follow session \(id) already")
        }
        numbers += 1
        let number = numbers
        // More than a minute: a busy browser is still connected.
        let reader = Reader<SessionStatus>(limit: 100, disconnect: disconnect)
        listeners[number] = reader
        _ = reader.send(await status())
        return (number, reader)
    }

    /// Removes a listener.
    func leaveEvents(_ number: Int) { listeners[number] = nil }

    /// The present status.
    func status() async -> SessionStatus {
        let (report, queued) = (await live.report, await live.queued)
        let now = ContinuousClock.now
        func latency(_ name: String) -> SessionStatus.Latency? {
            report.latency[name].map { SessionStatus.Latency(median: $0.p50, p95: $0.p95) }
        }
        return SessionStatus(
            state: state, fps: Double(recent.count { $0 > now - .seconds(1) }), units: report.units,
            dropped: report.dropped, late: report.late, starved: report.starved, firstFrame: latency("firstFrame"),
            interrupt: latency("interrupt"), queuedSeconds: queued / .seconds(1), viewers: viewers.count)
    }

    /// Gauges for `/metrics`.
    var gauges: (fps: Int, isSpeaking: Bool, viewers: Int) {
        let since = ContinuousClock.now - .seconds(1)
        return (recent.count { $0 > since }, state == .speaking, viewers.count)
    }

    // MARK: Running

    /// Sends one unit after the other until the session ends.
    func run() async throws {
        defer { close() }
        do {
            while let unit = try await live.next() {
                try await give(unit)
                await look(at: unit)
            }
        } catch {
            // Otherwise uploads would wait for units that are never taken.
            await end()
            throw error
        }
        if !viewers.isEmpty, let encoder {
            let rest = try await encoder.finishSound()
            send(EncodedUnit(index: units, picture: nil, sound: place(rest)))
        }
        // The models must outlive the running inferences.
        while await !live.isQuiet { try await Task.sleep(for: .milliseconds(10)) }
    }

    private func close() {
        state = .ended
        turn.end()
        let last = SessionStatus(
            state: .ended, fps: 0, units: units, dropped: counted.dropped, late: counted.late, starved: counted.starved,
            queuedSeconds: 0, viewers: 0)
        for listener in listeners.values where listener.send(last) { listener.finish() }
        for viewer in viewers.values { viewer.reader.finish() }
        (listeners, viewers, encoder, shown) = ([:], [:], nil, nil)
    }

    private func give(_ unit: LiveUnit) async throws {
        let picture = unit.frame?.picture
        if unit.frame != nil || unit.templatePosition != nil {
            (shown, shownTemplate) = (picture, unit.templatePosition)
        }
        guard !viewers.isEmpty else {
            encoder = nil
            return
        }
        let encoder: LiveEncoder
        if let existing = self.encoder {
            encoder = existing
        } else {
            encoder = try avatar.makeEncoder()
            (self.encoder, splice, soundStart) = (encoder, SplicePlan(), unit.index)
        }
        let loop = avatar.idleLoop
        let what: SplicePlan.Shown =
            if let position = unit.templatePosition { .template(position) } else { picture == nil ? .same : .drawn }
        let waiting = viewers.filter { !$0.value.isStarted }.map(\.key)
        let step = splice.step(what, needsKey: !waiting.isEmpty) { position in
            (loop?.picture(at: position) != nil, loop?.isStart(position) ?? false)
        }
        let encoded: EncodedUnit.Picture
        switch step {
        case .shared(let position):
            guard let shared = loop?.picture(at: position) else { return }
            encoded = shared
        case .encode(let isKey): encoded = try await encoder.picture(try await wanted(), isKey: isKey)
        case .repeated(let isKey):
            // A key frame needs the picture itself: the encoder may never have seen it.
            encoded = try await encoder.picture(isKey ? try await wanted() : nil, isKey: isKey)
        }
        let sound = try await encoder.sound(unit.sound)
        if encoded.isKey { for number in waiting { viewers[number]?.isStarted = true } }
        send(EncodedUnit(index: unit.index, picture: encoded, sound: place(sound)))
    }

    /// The present picture.
    private func wanted() async throws -> any Picture {
        if let shown { return shown }
        return try await avatar.engine.templateFrame(at: shownTemplate ?? 0).picture
    }

    private func place(_ sound: [EncodedUnit.Sound]) -> [EncodedUnit.Sound] {
        let offset = soundStart * LoadedAvatar.sound.rate / 25
        return sound.map { $0.moved(by: offset) }
    }

    private func send(_ unit: EncodedUnit) {
        for (number, viewer) in viewers where viewer.isStarted && !viewer.reader.send(unit) {
            viewers[number] = nil
            dependencies.metrics.count("slow_viewers_total")
        }
    }

    /// Updates state, figures and expiry after a unit.
    private func look(at unit: LiveUnit) async {
        units = unit.index + 1
        let now = ContinuousClock.now
        if unit.frame != nil || unit.templatePosition != nil { recent.append(now) }
        if recent.count > 30 { recent.removeFirst(recent.count - 30) }
        if unit.isSpeech {
            lastSpeech = now
            if let spoken { dependencies.metrics.observe("speech_start_seconds", now - spoken) }
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
            if !listeners.isEmpty { tell(await status()) }
        }
        await expire(now)
    }

    private func tell(_ status: SessionStatus) {
        for (number, listener) in listeners where !listener.send(status) { listeners[number] = nil }
    }

    private func count() async {
        let report = await live.report
        for (name, value) in [
            ("units_total", report.units - counted.units), ("speech_units_total", report.speech - counted.speech),
            ("dropped_total", report.dropped - counted.dropped), ("late_total", report.late - counted.late),
            ("starved_total", report.starved - counted.starved),
            ("interrupts_total", report.interrupts - counted.interrupts),
        ] { dependencies.metrics.count(name, by: value) }
        counted = report
    }

    /// Counts a request as a call, even if it is refused: the client still wants the session.
    func touch() { lastCall = .now }

    private func expire(_ now: ContinuousClock.Instant) async {
        guard speeches.isEmpty, state == .idle else { return }
        if isDraining, await !live.hasSpeech { return await live.end() }
        let idle = Duration.seconds(dependencies.configuration.sessionIdleSeconds)
        let quiet = Duration.seconds(dependencies.configuration.sessionQuietSeconds)
        guard (viewers.isEmpty && now - max(lastCall, lastSpeech) > idle) || now - max(lastCall, lastSpeech) > quiet
        else { return }
        await live.end()
    }
}
