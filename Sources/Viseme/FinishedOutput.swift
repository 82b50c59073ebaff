package import Foundation

/// A file or folder that is complete and gets its final name.
package enum FinishedOutput {
    /// Moves `finished` to `target` in one step, which replaces what is there: whoever looks, and whenever the program is
    /// killed, finds the old or the new output under that name.
    ///
    /// Where the file system cannot exchange two folders, replacing a folder takes two steps.
    ///
    /// - Throws: `.cannotCreate`.
    package static func publish(_ finished: URL, as target: URL) throws {
        do {
            // rename(2) replaces a file, or a link to anything, by a file; a folder replaces what is absent or empty.
            if rename(finished.path, target.path) == 0 { return }
            guard [ENOTEMPTY, EEXIST, EISDIR, ENOTDIR].contains(errno) else { throw failure() }
            guard try exchange(finished, target) else { return try replaceInTwoSteps(finished, target) }
            // The name holds the new output; what is left of the old one has a hidden name of its own.
            try? FileManager.default.removeItem(at: finished)
        } catch {
            throw VisemeError(
                .cannotCreate, "'\(target.path)' cannot get its final name.", hint: "Is the folder writable?",
                cause: error)
        }
    }

    /// renameat2 (Linux) and renameatx_np (Darwin), which agree in arguments and in the flag for an exchange.
    private typealias Rename =
        @convention(c) (CInt, UnsafePointer<CChar>, CInt, UnsafePointer<CChar>, CUnsignedInt) -> CInt

    /// Looked up at run time: neither function is in the headers of both systems.
    private static let renameWithFlags: Rename? = {
        let program = dlopen(nil, RTLD_NOW)
        guard let found = dlsym(program, "renameat2") ?? dlsym(program, "renameatx_np") else { return nil }
        // The C library declares it with these very types.
        return unsafeBitCast(found, to: Rename.self)
    }()

    /// Exchanges the names of two entries of one folder in one step.
    ///
    /// - Returns: False where system or file system cannot.
    private static func exchange(_ one: URL, _ other: URL) throws -> Bool {
        guard let renameWithFlags else { return false }
        let exchange: CUnsignedInt = 2  // RENAME_EXCHANGE, RENAME_SWAP
        if renameWithFlags(AT_FDCWD, one.path, AT_FDCWD, other.path, exchange) == 0 { return true }
        guard [EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP].contains(errno) else { throw failure() }
        return false
    }

    /// What was there steps aside, and is put back when the new output cannot take its place.
    static func replaceInTwoSteps(_ finished: URL, _ target: URL) throws {
        let files = FileManager.default
        let aside = target.deletingLastPathComponent().appending(
            path: ".\(target.lastPathComponent).old-\(UUID().uuidString)")
        try files.moveItem(at: target, to: aside)
        do {
            try files.moveItem(at: finished, to: target)
        } catch {
            try? files.moveItem(at: aside, to: target)  // the first error is the one that counts
            throw error
        }
        try? files.removeItem(at: aside)  // a left-over has a hidden name of its own
    }

    private static func failure() -> POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
}
