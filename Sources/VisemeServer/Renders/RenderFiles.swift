import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where the files of render jobs lie: a folder for each job, named by its id; no name ever comes from a client.
struct RenderFiles: Sendable {
    /// The folder of all jobs.
    let root: URL

    /// Creates the folder where there is none.
    init(root: URL) throws {
        self.root = root
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    }

    func folder(of id: String) -> URL { root.appending(path: id, directoryHint: .isDirectory) }
    /// What was uploaded.
    func speech(of id: String) -> URL { folder(of: id).appending(path: "speech") }
    /// What is being rendered.
    func draft(of id: String) -> URL { folder(of: id).appending(path: "draft.mp4") }
    /// The final name: a file that has it is complete.
    func result(of id: String) -> URL { folder(of: id).appending(path: "result.mp4") }

    func create(_ id: String) throws {
        try FileManager.default.createDirectory(at: folder(of: id), withIntermediateDirectories: false)
    }

    func remove(_ id: String) {
        // What cannot be removed now is removed when the server starts: it belongs to no job then.
        try? FileManager.default.removeItem(at: folder(of: id))
    }

    /// The size of the result, or nil as long as there is none.
    func resultBytes(of id: String) -> Int? {
        // No such file is the usual case, and no error.
        let attributes = try? FileManager.default.attributesOfItem(atPath: result(of: id).path)
        return (attributes?[.size] as? NSNumber)?.intValue
    }

    /// Removes what a render that died has left.
    func removeDrafts(of id: String) throws {
        let kept = Set([speech(of: id), result(of: id)].map(\.lastPathComponent))
        for name in try FileManager.default.contentsOfDirectory(atPath: folder(of: id).path) where !kept.contains(name)
        {
            try FileManager.default.removeItem(at: folder(of: id).appending(path: name))
        }
    }

    /// Gives the draft its final name, once it is on the disk and not only in the system's memory.
    ///
    /// - Returns: Its size in bytes.
    func publish(_ id: String) throws -> Int {
        try synchronize(draft(of: id))
        // Fails where a result stands already: nothing is ever rendered twice into the final name.
        guard link(draft(of: id).path, result(of: id).path) == 0 else { throw failure("\(id): the result", errno) }
        unlink(draft(of: id).path)
        try synchronize(folder(of: id))
        guard let bytes = resultBytes(of: id) else { throw failure("\(id): the result", ENOENT) }
        return bytes
    }

    /// Makes a new job's speech and folder survive a power failure.
    func keep(_ id: String) throws {
        for url in [speech(of: id), folder(of: id), root] { try synchronize(url) }
    }

    /// Removes the folders that belong to no job.
    func removeAll(but ids: Set<String>) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: root.path) where !ids.contains(name) {
            try FileManager.default.removeItem(at: root.appending(path: name))
        }
    }

    private func synchronize(_ url: URL) throws {
        let descriptor = open(url.path, O_RDONLY)
        guard descriptor >= 0 else { throw failure(url.lastPathComponent, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(url.lastPathComponent, errno) }
    }

    private func failure(_ thing: String, _ number: Int32) -> VisemeError {
        VisemeError(
            .cannotCreate, "Render job \(thing) cannot be written: \(String(cString: strerror(number)))",
            hint: "Check the data folder's free space and permissions.")
    }
}
