import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The files of render jobs: one folder a job, named by its id. No name comes from a client.
struct RenderFiles: Sendable {
    /// The folder of all jobs.
    let root: URL

    /// Creates the folder if it is missing.
    init(root: URL) throws {
        self.root = root
        do {
            // Speech and videos are private.
            try FileManager.default.createDirectory(
                at: root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let data = root.deletingLastPathComponent()
            guard FileManager.default.isWritableFile(atPath: data.path) else {
                throw CocoaError(.fileWriteNoPermission)
            }
        } catch {
            throw VisemeError(
                .cannotCreate, "The data folder '\(root.deletingLastPathComponent().path)' cannot be written",
                hint: "Give the server a folder that it may write to: viseme serve --data DIR", cause: error)
        }
    }

    /// Whether the disk has 64 MB free.
    var hasRoom: Bool {
        var status = statvfs()
        guard statvfs(root.path, &status) == 0 else { return false }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) >= 64 << 20
    }

    /// The size of all files in bytes.
    @concurrent func byteCount() async -> Int {
        let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: [.fileSizeKey])
        var sum = 0
        while let file = files?.nextObject() as? URL {
            // A file that was removed meanwhile takes no space.
            sum += (try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
        }
        return sum
    }

    /// The folders with the name of a job.
    func jobs() throws -> [String] { try names().filter(Self.isID) }

    /// All other names in the folder.
    func strangers() throws -> [String] { try names().filter { !Self.isID($0) } }

    private func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: root.path).sorted() }

    /// 32 hexadecimal digits.
    private static func isID(_ name: String) -> Bool {
        name.utf8.count == 32 && name.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    }

    func folder(of id: String) -> URL { root.appending(path: id, directoryHint: .isDirectory) }
    /// The uploaded speech.
    func speech(of id: String) -> URL { folder(of: id).appending(path: "speech") }
    /// The unfinished video.
    func draft(of id: String) -> URL { folder(of: id).appending(path: "draft.mp4") }
    /// The finished video. A file with this name is complete.
    func result(of id: String) -> URL { folder(of: id).appending(path: "result.mp4") }

    func create(_ id: String) throws {
        try FileManager.default.createDirectory(
            at: folder(of: id), withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    func remove(_ id: String) {
        // A folder that cannot be removed now belongs to no job, and is removed at the next start.
        try? FileManager.default.removeItem(at: folder(of: id))
    }

    /// The size of the result in bytes; nil while there is none.
    func resultBytes(of id: String) -> Int? {
        // A missing file is the usual case, not an error.
        let attributes = try? FileManager.default.attributesOfItem(atPath: result(of: id).path)
        return (attributes?[.size] as? NSNumber)?.intValue
    }

    /// Removes the files of an interrupted render.
    func removeDrafts(of id: String) throws {
        let kept = Set([speech(of: id), result(of: id)].map(\.lastPathComponent))
        for name in try FileManager.default.contentsOfDirectory(atPath: folder(of: id).path) where !kept.contains(name)
        {
            try FileManager.default.removeItem(at: folder(of: id).appending(path: name))
        }
    }

    /// Renames the draft to its final name after it is synchronized to the disk.
    ///
    /// - Returns: Its size in bytes.
    @concurrent func publish(_ id: String) async throws -> Int {
        try synchronize(draft(of: id))
        // Fails when a result exists: a result is never replaced.
        guard link(draft(of: id).path, result(of: id).path) == 0 else { throw failure("\(id): the result", errno) }
        unlink(draft(of: id).path)
        try synchronize(folder(of: id))
        guard let bytes = resultBytes(of: id) else { throw failure("\(id): the result", ENOENT) }
        return bytes
    }

    /// Synchronizes a new job's speech and folder to the disk, so that they survive a power failure.
    @concurrent func keep(_ id: String) async throws {
        for url in [speech(of: id), folder(of: id), root] { try synchronize(url) }
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
