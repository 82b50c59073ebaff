import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Locks a folder for one process: a second server would take the running jobs of the first for abandoned ones.
///
/// The system releases the lock when the process ends, in any way.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock.
    ///
    /// - Throws: `.cannotCreate` when another process holds it, or the folder is not writable.
    init(_ folder: URL) throws {
        let path = folder.appending(path: "lock").path
        descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw VisemeError(.cannotCreate, "'\(path)' cannot be created: \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw VisemeError(
                .cannotCreate, "The data folder '\(folder.path)' is used by another server",
                hint: "Give this one a folder of its own: viseme serve --data DIR")
        }
    }

    deinit { close(descriptor) }
}
