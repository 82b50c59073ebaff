import Foundation
import Viseme

/// A text file that has its name only when it is whole.
struct FinishedText {
    let url: URL
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
