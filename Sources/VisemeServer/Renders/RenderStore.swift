import Foundation
import GRDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The jobs in SQLite. What a call has returned from survives the end of the process and of the machine's power.
struct RenderStore: Sendable {
    /// What became of a job that was to be added.
    enum Admission: Sendable {
        case added
        /// The same key came with the same request before: this is its job.
        case repeated(RenderJob)
        /// The same key came with another request before.
        case conflicting
        /// So many jobs wait already.
        case full
        /// So many jobs of this client, or so much speech, wait already.
        case share
    }

    /// What may wait or run.
    struct Limits: Sendable {
        var jobs: Int
        var jobsOfClient = Int.max
        var framesOfClient = Int.max
    }

    private let pool: DatabasePool

    /// Opens or creates the database.
    init(at file: URL) throws {
        var configuration = Configuration()
        // Another process may hold the file for a moment, such as a backup.
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 2
        // SQLite gives its other files the permissions of this one: who rendered what is nobody else's business.
        let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            fchmod(descriptor, 0o600)
            close(descriptor)
        }
        pool = try DatabasePool(path: file.path, configuration: configuration)
        // GRDB's default for its write-ahead log loses the last transactions when the power fails; here a transaction is a promise.
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
        // Without API keys every client owns all jobs, yet each has a share of the queue.
        migrations.registerMigration("2") { database in
            try database.alter(table: RenderJob.databaseTableName) { table in
                table.add(column: "client", .text).notNull().defaults(to: "")
            }
        }
        return migrations
    }

    /// Puts right what a server that died has left; nobody else may use the database meanwhile.
    ///
    /// - Parameter resultBytes: The size of a job's result, if that has its final name.
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

    /// Adds a job, unless its key was used before or too much waits or runs already.
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

    /// Begins the job that has waited longest, of the client whose last turn is longest ago; nil when none waits.
    ///
    /// - Parameter turns: Numbers of the clients' last turns.
    func startNext(after turns: [String: Int] = [:]) async throws -> RenderJob? {
        try await pool.write { database in
            let waiting = RenderJob.filter(Column("state") == RenderJob.State.queued.rawValue).order(Column.rowID)
            let jobs = try waiting.fetchAll(database)
            // The first of equal ones: min keeps the order.
            guard let job = jobs.min(by: { turns[$0.client, default: 0] < turns[$1.client, default: 0] }) else {
                return nil
            }
            return try Self.update(job, .start, in: database)
        }
    }

    /// Notes an event; nil when there is no such job, or the event cannot happen to it.
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

    /// Somebody's jobs, the newest first.
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

    /// How many jobs wait or run, and how many there are in all.
    func counts() async throws -> (open: Int, all: Int) {
        try await pool.read { (try RenderJob.filter(Self.isOpen).fetchCount($0), try RenderJob.fetchCount($0)) }
    }

    /// Forgets a job; says whether there was one.
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
