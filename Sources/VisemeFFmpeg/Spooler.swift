import Foundation
import Viseme

/// Copies a pipe into a file.
actor Spooler {
    private let executor = BlockingExecutor("spool")

    /// The actor's own executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// The bytes copied at once.
    private static let block = 1 << 20

    /// Copies everything to a new temporary file, which is removed on failure.
    func spool(_ handle: FileHandle) throws -> URL {
        let url = FileManager.default.temporaryDirectory
            .appendingPathComponent("viseme-\(UUID().uuidString).media", isDirectory: false)
        guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
            throw VisemeError(.cannotCreate, "'\(url.path)' cannot be created for the sound from standard input")
        }
        var complete = false
        // The original error matters more than one from the removal.
        defer { if !complete { try? FileManager.default.removeItem(at: url) } }
        var size = 0
        do {
            let file = try FileHandle(forWritingTo: url)
            while let data = try handle.read(upToCount: Self.block), !data.isEmpty {
                try Task.checkCancellation()
                try file.write(contentsOf: data)
                size += data.count
            }
            try file.close()
        } catch let error as CancellationError {
            throw error
        } catch {
            throw VisemeError(
                .cannotCreate, "The sound from standard input cannot be copied to '\(url.path)'",
                hint: "free some disk space, or set TMPDIR", cause: error)
        }
        guard size > 0 else { throw VisemeError(.noInput, "Standard input is empty") }
        complete = true
        return url
    }
}
