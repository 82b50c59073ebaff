import Foundation
import Logging
import ServiceLifecycle
import Viseme
import VisemeFFmpeg

/// Accepts render jobs and works them off, the oldest first.
///
/// The database says what there is to do, this actor only does it. A job is accepted when its speech is on the disk and its row is
/// committed; it is finished when its result has its final name and then its row says so. Whatever happens in between is found and
/// put right when the server starts again.
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
    /// When each client had its last turn, so that they take turns.
    private var turns: [String: Int] = [:]
    private var turn = 0
    /// The clients of uploads that run, by the id of the job that each is to become.
    private var uploads: [String: String] = [:]
    /// Bytes of uploads and results as last measured, and what was added since.
    private var dataBytes = 0
    private let retryWait: Duration
    /// Waits between attempts to write how a job ended, by the job's id.
    private var retries: [String: Task<Void, Never>] = [:]
    private var isStopping = false
    private var isDatabaseBroken = false

    /// Opens the queue's folder and database, and puts right what a server that died has left there.
    ///
    /// - Parameters:
    ///   - configuration: Its folder for data, which is created, and its bounds.
    ///   - media: Decodes and encodes.
    ///   - avatar: The avatar with an id.
    ///   - isSpeaking: Whether a live session speaks.
    ///   - retryWait: The first wait between attempts to write how a job ended.
    /// - Throws: when the folder or the database cannot be written, or another server uses it.
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
                "The data folder '\(folder.path)' has \(old.count) renders, but no renders.sqlite that says whose they are",
                hint:
                    "Restore the database, or move '\(files.root.path)' away, or give the server another --data folder."
            )
        }
        do {
            store = try RenderStore(at: database)
            // Before anybody can upload anything: jobs that the database does not know are what a server that died has left.
            let known = try store.recover(resultBytes: files.resultBytes)
            for id in old where !known.contains(id) { files.remove(id) }
        } catch {
            throw VisemeError(
                .cannotCreate, "The database '\(database.path)' cannot be used",
                hint: "Restore it from a backup, or give the server another --data folder.", cause: error)
        }
        for name in try files.strangers() {
            logger.notice("'\(files.root.path)/\(name)' is not a render of this server and is left alone")
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

    /// Works until the service is asked to stop; what runs then goes back into the queue.
    func run() async throws {
        wakeup.yield()
        let ticks = Task { [wakeup] in
            // Only to remove what has been kept long enough.
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
        // Not cancelled with the render: what has happened must be noted.
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
                logger.error("Render job \(id) cannot be noted as \(event), trying again: \(error)")
                // The next start finds the job's files and puts the row right.
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

    /// Whether jobs can be accepted: the database answers, and there is room on the disk.
    func isUsable() async -> Bool {
        guard !isDatabaseBroken, (try? await store.counts()) != nil else { return false }
        return files.hasRoom
    }

    private func failure(of id: String, _ error: any Error) -> RenderJob.Failure {
        logger.info("Render job \(id): \(error)")
        let error = error as? VisemeError ?? VisemeError(.internal, "The render failed", cause: error)
        // The client knows nothing of our folders, and need not.
        let name = "'\(files.speech(of: id).path)'"
        let message = error.message.replacing("Speech \(name)", with: "The upload").replacing(name, with: "the upload")
        return RenderJob.Failure(
            code: error.code.rawValue, message: message.replacing(files.folder(of: id).path, with: ""),
            hint: error.hint?.contains(files.root.path) ?? true ? nil : error.hint)
    }

    // MARK: Jobs

    /// Makes room for an upload and gives the id of the job that it is to become.
    ///
    /// - Parameter client: Whose share of the queue it counts in.
    /// - Throws: `.busy` when too many jobs wait or are kept, or too many of this client; `.full` without room on the disk.
    func beginUpload(client: String) async throws -> String {
        let counts = try await store.counts()
        guard counts.open + uploads.count < configuration.maxWaitingRenders else {
            throw VisemeError(
                .busy, "\(configuration.maxWaitingRenders) render jobs wait already", hint: "Try again later.")
        }
        guard counts.all + uploads.count < configuration.maxKeptRenders else {
            throw VisemeError(
                .busy, "\(configuration.maxKeptRenders) render jobs are kept already",
                hint: "DELETE those that are finished.")
        }
        let own = try await store.openCount(of: client) + uploads.values.count { $0 == client }
        guard own < configuration.maxWaitingRendersPerClient else { throw shareIsUsed }
        dataBytes = await files.byteCount()
        guard dataBytes < configuration.maxDataBytes, files.hasRoom else { throw noRoom }
        let id = randomToken(bytes: 16)
        try files.create(id)
        uploads[id] = client
        return id
    }

    /// Counts bytes that an upload is about to write.
    ///
    /// - Throws: `.full` when they exceed `maxDataBytes` or the disk has no room.
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
            .full, "There is no room for another render", hint: "DELETE those that are finished, or try later.")
    }

    /// The job that an idempotency key gave before; nil for a new key.
    ///
    /// - Throws: `.conflict` when the key came with another request.
    func repeated(owner: String, key: String, digest: String) async throws -> (job: RenderJob, framesDone: Int)? {
        guard let job = try await store.job(owner: owner, key: key) else { return nil }
        guard job.digest == digest else { throw keyIsUsed }
        return (job, done(job))
    }

    private var keyIsUsed: VisemeError {
        VisemeError(
            .conflict, "The Idempotency-Key was used for another request", hint: "Use a new key for a new render.")
    }

    /// Gives an upload up.
    func abandon(_ id: String) {
        guard uploads.removeValue(forKey: id) != nil else { return }
        files.remove(id)
    }

    /// Makes a job of an upload.
    ///
    /// - Returns: The job, and whether it is new: the same key with the same request gives the same job.
    /// - Throws: `.badData` when it is no speech, `.tooLarge` when it is too long, `.conflict` when the key came with another request.
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
                .busy, "\(configuration.maxWaitingRenders) render jobs wait already", hint: "Try again later.")
        case .share: throw shareIsUsed
        }
    }

    private var shareIsUsed: VisemeError {
        VisemeError(
            .busy,
            "Your share of the queue is used up: \(configuration.maxWaitingRendersPerClient) jobs with "
                + "\(configuration.maxWaitingSecondsPerClient) s of speech, uploads included",
            hint: "Wait until some are finished.")
    }

    private func frameCount(of id: String) async throws -> Int {
        let seconds: Double
        do {
            // Opened as the render will open it, so that what cannot be decoded is refused while somebody listens.
            _ = try await media.speech(at: files.speech(of: id))
            seconds = try await media.probe(files.speech(of: id)).audio?.seconds ?? 0
        } catch let error as VisemeError {
            let failure = failure(of: id, error)
            throw VisemeError(error.code == .internal ? .badData : error.code, failure.message, hint: failure.hint)
        }
        guard seconds.isFinite, seconds >= 0, seconds <= Double(configuration.maxRenderSeconds) else {
            throw VisemeError(
                .tooLarge,
                "The speech lasts \(seconds) seconds, at most \(configuration.maxRenderSeconds) are rendered",
                hint: "Cut it into pieces.")
        }
        return Int((seconds * 25).rounded(.up))
    }

    /// A job and the frames that it has so far; nil when there is none with that id.
    func job(_ id: String) async throws -> (job: RenderJob, framesDone: Int)? {
        guard let job = try await store.job(id) else { return nil }
        return (job, done(job))
    }

    /// Somebody's jobs, the newest first.
    func jobs(of owner: String) async throws -> [(job: RenderJob, framesDone: Int)] {
        try await store.jobs(of: owner, limit: configuration.maxKeptRenders).map { ($0, done($0)) }
    }

    private func done(_ job: RenderJob) -> Int {
        job.state == .finished ? job.framesTotal : framesDone[job.id] ?? 0
    }

    /// Ends a job if need be, and removes it with its files; says whether there was one.
    func remove(_ id: String) async throws -> Bool {
        do {
            guard try await store.remove(id) else { return false }
        } catch {
            // On a full disk a row cannot be removed before its files have made room.
            guard running[id] == nil, try await store.job(id) != nil else { throw error }
            files.remove(id)
            guard try await store.remove(id) else { return false }
        }
        if let task = running[id] {
            // It removes its files itself when it has stopped.
            task.cancel()
        } else {
            files.remove(id)
        }
        return true
    }

    /// Figures for `/metrics`.
    func gauges() async -> [(name: String, value: Double)] {
        // Without the database there is nothing to tell, and its error is told elsewhere.
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
