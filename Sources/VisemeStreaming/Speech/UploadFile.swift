package import Foundation
import Viseme

/// A new file that an upload is written to.
package actor UploadFile {
    private let executor = BlockingExecutor("upload")
    private let handle: FileHandle

    /// The actor's own executor.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Creates the file.
    package init(_ url: URL) throws {
        try Data().write(to: url, options: .withoutOverwriting)
        handle = try FileHandle(forWritingTo: url)
    }

    /// Appends bytes.
    ///
    /// - Throws: `.cannotCreate`.
    package func append(_ data: Data) throws {
        do {
            try handle.write(contentsOf: data)
        } catch {
            throw VisemeError(
                .cannotCreate, "The upload cannot be written", hint: "The disk may be full.", cause: error)
        }
    }

    /// Closes the file.
    package func close() throws { try handle.close() }
}
