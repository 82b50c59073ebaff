package import Foundation

/// A file or folder that is complete and gets its final name.
package enum FinishedOutput {
    /// Moves `finished` to `target`. What was there steps aside first, so that there is always one complete output; it is
    /// put back when the move fails.
    ///
    /// - Throws: `.cannotCreate`.
    package static func publish(_ finished: URL, as target: URL) throws {
        let files = FileManager.default
        let aside = target.deletingLastPathComponent().appending(
            path: ".\(target.lastPathComponent).old-\(UUID().uuidString)")
        do {
            let replaces = files.fileExists(atPath: target.path)
            if replaces { try files.moveItem(at: target, to: aside) }
            do {
                try files.moveItem(at: finished, to: target)
            } catch {
                if replaces { try? files.moveItem(at: aside, to: target) }  // the first error is the one that counts
                throw error
            }
            // The new one is in place; a left-over has a hidden name of its own.
            if replaces { try? files.removeItem(at: aside) }
        } catch {
            throw VisemeError(
                .cannotCreate, "'\(target.path)' cannot get its final name.", hint: "Is the folder writable?",
                cause: error)
        }
    }
}
