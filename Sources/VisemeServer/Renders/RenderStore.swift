import Foundation
import GRDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
    import VisemeStreaming
#endif

/// The jobs in SQLite. A completed write survives a crash of the process and a power failure.
struct RenderStore: Sendable {
    /// The outcome of adding a job.
    enum Admission: Sendable {
        case added
        /// The key belongs to the same request: its job.
        case repeated(RenderJob)
        /// The key belongs to another request.
        case conflicting
        /// The limit on open jobs is reached.
        case full
        /// The client's limit on open jobs or their speech is reached.
        case share
    }

    /// Limits on jobs that wait or run.
    struct Limits: Sendable {
        var jobs: Int
        var jobsOfClient = Int.max
        var framesOfClient = Int.max
    }

    private let pool: DatabasePool

    /// Opens or creates the database.
    init(at file: URL) throws {
        var configuration = Configuration()
        // Another process, such as a backup, may lock the file briefly.
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 2
        // Private; SQLite gives its other files the same permissions.
        let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            fchmod(descriptor, 0o600)
            close(descriptor)
        }
        pool = try DatabasePool(path: file.path, configuration: configuration)
        // GRDB's default for its write-ahead log loses the last transactions at a power failure.
        try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        try Self.migrations.migrate(pool)
    }

    private static var migrations: DatabaseMigrator {
        var migrations = DatabaseMigrator()
        migrations.registerMigration("1") { database in
            try database.create(table: RenderJob.databaseTableName) { table in
                table.primaryKey("id", .text)
                table.column("owner", .text).notNull()
                table.column("avatar", .text).notNull()
                table.column("createdAt", .datetime).notNull()
                table.column("idempotencyKey", .text)
                table.column("digest", .text).notNull()
                table.column("framesTotal", .integer).notNull()
                table.column("state", .text).notNull().indexed()
                table.column("attempts", .integer).notNull()
                table.column("endedAt", .datetime)
                table.column("resultBytes", .integer)
                table.column("failure", .text)
                table.uniqueKey(["owner", "idempotencyKey"])
            }
        }
        // Without API keys all clients own all jobs, but each has its own share of the queue.
        migrations.registerMigration("2") { database in
            try database.alter(table: RenderJob.databaseTableName) { table in
                table.add(column: "client", .text).notNull().defaults(to: "")
            }
        }
        return migrations
    }

    /// Recovers jobs that were running at a crash.
    ///
    /// - Precondition: Nothing else uses the database.
    /// - Parameter resultBytes: The size of a job's result; nil while there is none.
    /// - Returns: The ids of all jobs.
    func recover(resultBytes: (String) -> Int?) throws -> Set<String> {
        try pool.write { database in
            let running = RenderJob.filter(Column("state") == RenderJob.State.running.rawValue)
            for job in try running.fetchAll(database) {
                _ = try Self.update(job, .recover(resultBytes: resultBytes(job.id)), in: database)
            }
            return Set(try RenderJob.select(Column("id"), as: String.self).fetchAll(database))
        }
    }

    /// Adds a job, unless its key was used before or a limit is reached.
    func add(_ job: RenderJob, _ limits: Limits) async throws -> Admission {
        try await pool.write { database in
            if let key = job.idempotencyKey,
                let before = try Self.jobs(owner: job.owner, key: key).fetchOne(database)
            {
                return before.digest == job.digest ? .repeated(before) : .conflicting
            }
            guard try RenderJob.filter(Self.isOpen).fetchCount(database) < limits.jobs else { return .full }
            let own = try RenderJob.filter(Self.isOpen && Column("client") == job.client).fetchAll(database)
            let frames = own.reduce(job.framesTotal) { $0 + $1.framesTotal }
            guard own.count < limits.jobsOfClient, own.isEmpty || frames <= limits.framesOfClient else { return .share }
            try job.insert(database)
            return .added
        }
    }

    /// Starts the oldest waiting job of the client whose last turn is longest ago; nil when none waits.
    ///
    /// - Parameter turns: The number of each client's last turn.
    func startNext(after turns: [String: Int] = [:]) async throws -> RenderJob? {
        try await pool.write { database in
            let waiting = RenderJob.filter(Column("state") == RenderJob.State.queued.rawValue).order(Column.rowID)
            let jobs = try waiting.fetchAll(database)
            // min returns the first of equal elements.
            guard let job = jobs.min(by: { turns[$0.client, default: 0] < turns[$1.client, default: 0] }) else {
                return nil
            }
            return try Self.update(job, .start, in: database)
        }
    }

    /// Applies an event; nil when there is no such job, or the event is not valid in its state.
    @discardableResult
    func update(_ id: String, _ event: RenderJob.Event) async throws -> RenderJob? {
        try await pool.write { database in
            guard let job = try RenderJob.filter(Column("id") == id).fetchOne(database) else { return nil }
            return try Self.update(job, event, in: database)
        }
    }

    private static func update(
        _ job: RenderJob, _ event: RenderJob.Event, in database: Database
    ) throws -> RenderJob? {
        var job = job
        guard job.apply(event, at: Date()) else { return nil }
        try job.update(database)
        return job
    }

    private static func jobs(owner: String, key: String) -> QueryInterfaceRequest<RenderJob> {
        RenderJob.filter(Column("owner") == owner && Column("idempotencyKey") == key)
    }

    /// The job that an owner's idempotency key belongs to, or nil.
    func job(owner: String, key: String) async throws -> RenderJob? {
        try await pool.read { try Self.jobs(owner: owner, key: key).fetchOne($0) }
    }

    /// The job with an id, or nil.
    func job(_ id: String) async throws -> RenderJob? {
        try await pool.read { try RenderJob.filter(Column("id") == id).fetchOne($0) }
    }

    /// An owner's jobs, the newest first.
    func jobs(of owner: String, limit: Int) async throws -> [RenderJob] {
        try await pool.read { database in
            try RenderJob.filter(Column("owner") == owner).order(Column.rowID.desc).limit(limit).fetchAll(database)
        }
    }

    /// The ids of jobs that ended before a time.
    func ids(endedBefore time: Date) async throws -> [String] {
        try await pool.read { database in
            try RenderJob.filter(Column("endedAt") < time).select(Column("id"), as: String.self).fetchAll(database)
        }
    }

    /// The number of a client's jobs that wait or run.
    func openCount(of client: String) async throws -> Int {
        try await pool.read { try RenderJob.filter(Self.isOpen && Column("client") == client).fetchCount($0) }
    }

    /// The number of jobs that wait or run, and of all jobs.
    func counts() async throws -> (open: Int, all: Int) {
        try await pool.read { (try RenderJob.filter(Self.isOpen).fetchCount($0), try RenderJob.fetchCount($0)) }
    }

    /// Removes a job.
    ///
    /// - Returns: Whether it existed.
    @discardableResult
    func remove(_ id: String) async throws -> Bool {
        try await pool.write { try RenderJob.filter(Column("id") == id).deleteAll($0) > 0 }
    }

    private static var isOpen: SQLExpression {
        [RenderJob.State.queued, .running].map(\.rawValue).contains(Column("state"))
    }
}

extension RenderJob: FetchableRecord, PersistableRecord {
    static var databaseTableName: String { "renders" }
}
