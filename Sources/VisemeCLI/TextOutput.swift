import Foundation
import Viseme

/// Where a command's text goes: standard output, or a file that has its name only when the text is whole.
enum TextOutput {
    /// Runs `body` with what writes the next piece; then the file gets its name, which is printed.
    ///
    /// - Parameter url: The file; nil for standard output.
    /// - Throws: `.cannotCreate`, `.cannotWrite`, and what `body` throws. Nothing is left of the file then.
    static func write(
        to url: URL?, overwrite: Bool, _ body: ((String) throws -> Void) async throws -> Void
    ) async throws {
        guard let url else { return try await body { try Terminal.result($0, end: "") } }
        let file = try FinishedText(at: url, overwrite: overwrite)
        do {
            try await body(file.write)
            try file.finish()
        } catch {
            file.discard()
            throw error
        }
        try Terminal.result(url.path)
    }
}

private struct FinishedText {
    private let url: URL
    private let partial: URL
    private let handle: FileHandle

    init(at url: URL, overwrite: Bool) throws {
        self.url = url
        guard overwrite || !FileManager.default.fileExists(atPath: url.path) else {
            throw VisemeError(.cannotCreate, "'\(url.path)' exists.", hint: "Choose another name, or add --force.")
        }
        partial = url.deletingLastPathComponent().appending(
            path: ".\(url.lastPathComponent).partial-\(UUID().uuidString.prefix(8))")
        guard FileManager.default.createFile(atPath: partial.path, contents: nil),
            let handle = FileHandle(forWritingAtPath: partial.path)
        else { throw VisemeError(.cannotCreate, "'\(url.path)' cannot be created.") }
        self.handle = handle
    }

    func write(_ text: String) throws {
        do {
            try handle.write(contentsOf: Data(text.utf8))
        } catch {
            throw VisemeError(.cannotWrite, "'\(url.path)' cannot be written.", cause: error)
        }
    }

    func finish() throws {
        do {
            try handle.close()
        } catch {
            throw VisemeError(.cannotWrite, "'\(url.path)' cannot be written.", cause: error)
        }
        try FinishedOutput.publish(partial, as: url)
    }

    func discard() {
        // The system clears what is left; the error that came before counts.
        try? handle.close()
        try? FileManager.default.removeItem(at: partial)
    }
}
