import Viseme
package import VisemeFFmpeg

extension Conversation {
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

    /// Adds a reader of raw units.
    ///
    /// - Parameters:
    ///   - kept: Template frames below this number are sent once, and then referred to.
    ///   - hasShapes: Whether it is told the mouth's shape.
    ///   - disconnect: Closes the connection of a reader that falls behind.
    /// - Throws: `.busy` at the limit of viewers; `.noInput` for shapes of an avatar that has no articulator.
    package func read(
        keeping kept: Int, hasShapes: Bool = false, disconnect: @escaping @Sendable () -> Void
    ) async throws -> (number: Int, reader: Reader<UnitRecord>) {
        if hasShapes { try await beginShapes() }
        guard state != .ended else { throw ended }
        let reader = try await feed.read(
            keeping: kept, hasShapes: hasShapes, upTo: settings.maxViewers, of: id, disconnect: disconnect)
        if hasShapes { shapeReaders.insert(reader.number) }
        return reader
    }

    /// Removes a reader of raw units.
    package func leaveUnits(_ number: Int) async {
        lastCall = .now
        shapeReaders.remove(number)
        await feed.leave(number)
    }

    /// Adds a listener to events.
    ///
    /// - Parameters:
    ///   - hasShapes: Whether it is told the mouth's shape.
    ///   - disconnect: Closes the connection of a listener that falls behind.
    /// - Throws: `.busy` at the limit of viewers; `.noInput` for shapes of an avatar that has no articulator.
    package func listen(
        hasShapes: Bool = false, disconnect: @escaping @Sendable () -> Void
    ) async throws -> (number: Int, reader: Reader<ConversationNotice>) {
        if hasShapes { try await beginShapes() }
        guard state != .ended else { throw ended }
        guard listeners.count < settings.maxViewers else {
            throw VisemeError(.busy, "\(listeners.count) clients follow session \(id) already")
        }
        // More than a minute: a busy browser is still connected. Of shapes, ten seconds more.
        let listener = listeners.add(
            limit: 100 + (hasShapes ? 10 * LiveUnit.perSecond : 0), disconnect: disconnect)
        if hasShapes { shapeListeners.insert(listener.number) }
        _ = listener.reader.send(.status(await status()))
        return listener
    }

    /// Removes a listener.
    package func leaveEvents(_ number: Int) {
        listeners.remove(number)
        shapeListeners.remove(number)
    }

    /// The present status.
    package func status() async -> SessionStatus {
        let (report, queued) = (await live.report, await live.queued)
        let viewers = await watching()
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
        (picturesInLastSecond, state == .speaking, await watching())
    }

    /// Open streams of video and of units.
    func watching() async -> Int { await broadcast.viewerCount + feed.readerCount }

    private var picturesInLastSecond: Int {
        let since = ContinuousClock.now - .seconds(1)
        return recent.count { $0 > since }
    }
}
