import Foundation
import Logging
import ServiceLifecycle
import Viseme
import VisemeFFmpeg
import VisemeStreaming

/// Accepts render jobs and renders them, the oldest first; clients take turns.
///
/// The database holds the state. A job is accepted when its speech is on the disk and its row is committed. It is finished when its
/// result has its final name and then its row says so. The next start recovers from a crash in between.
actor RenderQueue: Service {
    private let configuration: ServerConfiguration
    nonisolated let files: RenderFiles
    private let lock: FolderLock
    private let store: RenderStore
    private let media: FFmpeg
    private let avatar: @Sendable (String) async throws -> LoadedAvatar
    private let isSpeaking: @Sendable () async -> Bool
    private let logger: Logger
    private let wakeups: AsyncStream<Void>
    private let wakeup: AsyncStream<Void>.Continuation
    private var running: [String: Task<Void, Never>] = [:]
    private var framesDone: [String: Int] = [:]
    /// The number of each client's last turn, so that clients take turns.
    private var turns: [String: Int] = [:]
    private var turn = 0
    /// The clients of running uploads, by the id of the future job.
    private var uploads: [String: String] = [:]
    /// Bytes of uploads and results as last measured, and what was added since.
    private var dataBytes = 0
    private let retryWait: Duration
    /// Waits between attempts to write how a job ended, by the job's id.
    private var retries: [String: Task<Void, Never>] = [:]
    private var isStopping = false
    private var isDatabaseBroken = false

    /// Opens the queue's folder and database, and recovers from a crash of the server.
    ///
    /// - Parameters:
    ///   - configuration: The data folder, which is created, and the limits.
    ///   - media: Decodes and encodes.
    ///   - avatar: Loads the avatar with an id.
    ///   - isSpeaking: Whether a live session is speaking.
    ///   - retryWait: The first wait between attempts to write how a job ended.
    /// - Throws: `.cannotCreate` when the folder or the database is not writable, or another server uses it.
    init(
        _ configuration: ServerConfiguration, media: FFmpeg, logger: Logger,
        avatar: @escaping @Sendable (String) async throws -> LoadedAvatar,
        isSpeaking: @escaping @Sendable () async -> Bool, retryWait: Duration = .milliseconds(500)
    ) throws {
        let folder = URL(filePath: configuration.data, directoryHint: .isDirectory)
        files = try RenderFiles(root: folder.appending(path: "renders", directoryHint: .isDirectory))
        lock = try FolderLock(folder)
        let database = folder.appending(path: "renders.sqlite")
        let isNew = !FileManager.default.fileExists(atPath: database.path)
        let old = try files.jobs()
        guard !isNew || old.isEmpty else {
            throw VisemeError(
                .cannotCreate,
                "The data folder '\(folder.path)' has \(old.count) renders, but no renders.sqlite",
                hint:
                    "Restore the database, or move '\(files.root.path)' away, or give the server another --data folder."
            )
        }
        do {
            store = try RenderStore(at: database)
            // Before the first upload: folders without a row are left over from a crash.
            let known = try store.recover(resultBytes: files.resultBytes)
            for id in old where !known.contains(id) { files.remove(id) }
        } catch {
            throw VisemeError(
                .cannotCreate, "The database '\(database.path)' cannot be used",
                hint: "Restore it from a backup, or give the server another --data folder.", cause: error)
        }
        for name in try files.strangers() {
            logger.notice("'\(files.root.path)/\(name)' is not a render of this server and is ignored")
        }
        self.configuration = configuration
        self.media = media
        self.logger = logger
        self.avatar = avatar
        self.isSpeaking = isSpeaking
        self.retryWait = retryWait
        (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Working

    /// Renders jobs until graceful shutdown; running jobs then go back into the queue.
    func run() async throws {
        wakeup.yield()
        let ticks = Task { [wakeup] in
            // To remove expired jobs.
            while (try? await Task.sleep(for: .seconds(600))) != nil { wakeup.yield() }
        }
        for await _ in wakeups.cancelOnGracefulShutdown() {
            do {
                try await removeExpired()
                while running.count < configuration.maxRenders, let job = try await store.startNext(after: turns) {
                    turn += 1
                    turns[job.client] = turn
                    running[job.id] = Task { await perform(job) }
                }
            } catch {
                logger.error("Render jobs cannot be read: \(error)")
            }
        }
        ticks.cancel()
        isStopping = true
        for task in running.values { task.cancel() }
        for wait in retries.values { wait.cancel() }
        for task in running.values { await task.value }
    }

    private func perform(_ job: RenderJob) async {
        let event: RenderJob.Event
        do {
            try files.removeDrafts(of: job.id)
            let avatar = try await avatar(job.avatar)
            // Held until the end, so that the library does not unload it.
            defer { withExtendedLifetime(avatar) {} }
            let engine = avatar.engine
            let frameLimit = configuration.maxRenderSeconds * 25 + 25
            let (yields, isSpeaking) = (configuration.rendersYield, isSpeaking)
            let media = YieldingMedia(media: media, frameLimit: frameLimit) { yields ? await isSpeaking() : false }
            let render = Render(engine: engine, media: media, audio: files.speech(of: job.id))
            let report = try await render.run(to: files.draft(of: job.id)) { framesDone[job.id] = $0 }
            let bytes = try await files.publish(job.id)
            dataBytes += bytes
            event = .finish(resultBytes: bytes, frames: report.video.frames)
        } catch is CancellationError {
            event = .suspend
        } catch {
            event = .fail(failure(of: job.id, error))
        }
        // Not cancelled with the render: the event must be written.
        await Task { await note(event, of: job.id) }.value
        running[job.id] = nil
        framesDone[job.id] = nil
        if !isStopping { wakeup.yield() }
    }

    /// Writes how a job ended, and tries again while the disk is full or the database is locked. A job that was removed
    /// meanwhile has no row.
    private func note(_ event: RenderJob.Event, of id: String) async {
        var wait = retryWait
        while true {
            do {
                if try await store.update(id, event) == nil { files.remove(id) }
                isDatabaseBroken = false
                return
            } catch {
                isDatabaseBroken = true
                logger.error("Render job \(id) cannot be updated to \(event), trying again: \(error)")
                // The next start recovers the row from the job's files.
                if isStopping { return }
                // Cancelled when the server stops; then there is one more attempt.
                let sleep = Task { [wait] in _ = try? await Task.sleep(for: wait) }
                retries[id] = sleep
                await sleep.value
                retries[id] = nil
                wait = min(wait * 2, .seconds(30))
            }
        }
    }

    /// Whether jobs can be accepted: the database works and the disk has free space.
    func isUsable() async -> Bool {
        guard !isDatabaseBroken, (try? await store.counts()) != nil else { return false }
        return files.hasRoom
    }

    private func failure(of id: String, _ error: any Error) -> RenderJob.Failure {
        logger.info("Render job \(id): \(error)")
        let error = error as? VisemeError ?? VisemeError(.internal, "The render failed", cause: error)
        // Clients do not see paths of the server.
        let name = "'\(files.speech(of: id).path)'"
        let message = error.message.replacing("Speech \(name)", with: "The upload").replacing(name, with: "the upload")
        return RenderJob.Failure(
            code: error.code.rawValue, message: message.replacing(files.folder(of: id).path, with: ""),
            hint: error.hint?.contains(files.root.path) ?? true ? nil : error.hint)
    }

    // MARK: Jobs

    /// Begins an upload and returns the id of the future job.
    ///
    /// - Parameter client: The client whose share of the queue it counts against.
    /// - Throws: `.busy` when a limit on jobs is reached, in all or of this client; `.full` when the disk or `maxDataBytes` is.
    func beginUpload(client: String) async throws -> String {
        let counts = try await store.counts()
        guard counts.open + uploads.count < configuration.maxWaitingRenders else {
            throw VisemeError(
                .busy, "\(configuration.maxWaitingRenders) render jobs are waiting already", hint: "Try again later.")
        }
        guard counts.all + uploads.count < configuration.maxKeptRenders else {
            throw VisemeError(
                .busy, "\(configuration.maxKeptRenders) render jobs are kept already",
                hint: "DELETE finished jobs.")
        }
        let own = try await store.openCount(of: client) + uploads.values.count { $0 == client }
        guard own < configuration.maxWaitingRendersPerClient else { throw shareIsUsed }
        dataBytes = await files.byteCount()
        guard dataBytes < configuration.maxDataBytes, files.hasRoom else { throw noRoom }
        let id = configuration.newID(bytes: 16)
        try files.create(id)
        uploads[id] = client
        return id
    }

    /// Reserves bytes that an upload is about to write.
    ///
    /// - Throws: `.full` when `maxDataBytes` is exceeded or the disk is full.
    func reserve(_ bytes: Int) async throws {
        dataBytes += bytes
        if dataBytes > configuration.maxDataBytes {
            // Renders may have been removed since the last measurement.
            dataBytes = await files.byteCount() + bytes
        }
        guard dataBytes <= configuration.maxDataBytes, files.hasRoom else { throw noRoom }
    }

    private var noRoom: VisemeError {
        VisemeError(
            .full, "There is no space for another render", hint: "DELETE finished jobs, or try again later.")
    }

    /// The job of an idempotency key; nil for a new key.
    ///
    /// - Throws: `.conflict` when the key belongs to another request.
    func repeated(owner: String, key: String, digest: String) async throws -> (job: RenderJob, framesDone: Int)? {
        guard let job = try await store.job(owner: owner, key: key) else { return nil }
        guard job.digest == digest else { throw keyIsUsed }
        return (job, done(job))
    }

    private var keyIsUsed: VisemeError {
        VisemeError(
            .conflict, "The Idempotency-Key was used for another request", hint: "Use a new key for a new render.")
    }

    /// Cancels an upload and removes its files.
    func abandon(_ id: String) {
        guard uploads.removeValue(forKey: id) != nil else { return }
        files.remove(id)
    }

    /// Turns an upload into a job.
    ///
    /// - Returns: The job, and whether it is new: the same key with the same request gives the same job.
    /// - Throws: `.badData` when the upload is not speech, `.tooLarge` when it is too long, `.conflict` when the key belongs to
    ///   another request, `.busy` when a limit on jobs is reached.
    func accept(
        _ id: String, avatar: String, owner: String, key: String?, digest: String
    ) async throws -> (job: RenderJob, isNew: Bool) {
        defer { abandon(id) }
        let client = uploads[id, default: ""]
        let frames = try await frameCount(of: id)
        let job = RenderJob(
            id: id, owner: owner, client: client, avatar: avatar, createdAt: Date(), idempotencyKey: key,
            digest: digest,
            framesTotal: frames)
        try await files.keep(id)
        let limits = RenderStore.Limits(
            jobs: configuration.maxWaitingRenders, jobsOfClient: configuration.maxWaitingRendersPerClient,
            framesOfClient: configuration.maxWaitingSecondsPerClient * 25)
        switch try await store.add(job, limits) {
        case .added:
            uploads[id] = nil
            wakeup.yield()
            return (job, true)
        case .repeated(let before): return (before, false)
        case .conflicting: throw keyIsUsed
        case .full:
            throw VisemeError(
                .busy, "\(configuration.maxWaitingRenders) render jobs are waiting already", hint: "Try again later.")
        case .share: throw shareIsUsed
        }
    }

    private var shareIsUsed: VisemeError {
        VisemeError(
            .busy,
            "Your share of the queue is used: \(configuration.maxWaitingRendersPerClient) jobs with "
                + "\(configuration.maxWaitingSecondsPerClient) s of speech, uploads included",
            hint: "Wait until some jobs are finished.")
    }

    private func frameCount(of id: String) async throws -> Int {
        let seconds: Double
        do {
            // Opened as the render opens it, so that the request fails when the speech cannot be decoded.
            _ = try await media.speech(at: files.speech(of: id))
            seconds = try await media.probe(files.speech(of: id)).audio?.seconds ?? 0
        } catch let error as VisemeError {
            let failure = failure(of: id, error)
            throw VisemeError(error.code == .internal ? .badData : error.code, failure.message, hint: failure.hint)
        }
        guard seconds.isFinite, seconds >= 0, seconds <= Double(configuration.maxRenderSeconds) else {
            throw VisemeError(
                .tooLarge,
                "The speech has \(seconds) seconds, expected at most \(configuration.maxRenderSeconds)",
                hint: "Split it.")
        }
        return Int((seconds * 25).rounded(.up))
    }

    /// A job and the number of its rendered frames; nil for an unknown id.
    func job(_ id: String) async throws -> (job: RenderJob, framesDone: Int)? {
        guard let job = try await store.job(id) else { return nil }
        return (job, done(job))
    }

    /// An owner's jobs, the newest first.
    func jobs(of owner: String) async throws -> [(job: RenderJob, framesDone: Int)] {
        try await store.jobs(of: owner, limit: configuration.maxKeptRenders).map { ($0, done($0)) }
    }

    private func done(_ job: RenderJob) -> Int {
        job.state == .finished ? job.framesTotal : framesDone[job.id] ?? 0
    }

    /// Cancels a running job, and removes a job with its files.
    ///
    /// - Returns: Whether the job existed.
    func remove(_ id: String) async throws -> Bool {
        do {
            guard try await store.remove(id) else { return false }
        } catch {
            // On a full disk a row can be removed only after its files.
            guard running[id] == nil, try await store.job(id) != nil else { throw error }
            files.remove(id)
            guard try await store.remove(id) else { return false }
        }
        if let task = running[id] {
            // The task removes the files after it stops.
            task.cancel()
        } else {
            files.remove(id)
        }
        return true
    }

    /// Gauges for `/metrics`.
    func gauges() async -> [(name: String, value: Double)] {
        // A broken database is reported by `/ready` and in the log.
        guard let counts = try? await store.counts() else { return [] }
        return [
            ("renders_running", Double(running.count)),
            ("renders_waiting", Double(max(0, counts.open - running.count))),
            ("renders_kept", Double(counts.all)),
        ]
    }

    private func removeExpired() async throws {
        let time = Date(timeIntervalSinceNow: -3600 * Double(configuration.renderKeepHours))
        for id in try await store.ids(endedBefore: time) { _ = try await remove(id) }
    }
}
