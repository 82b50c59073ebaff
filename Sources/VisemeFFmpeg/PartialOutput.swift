import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file or folder under a temporary name beside its final one, which is removed unless it is published.
struct PartialOutput: ~Copyable {
    /// The temporary location.
    let url: URL
    private let target: URL
    private let overwrite: Bool
    private let isFolder: Bool
    private var isPublished = false

    /// Checks that the target can be created and picks a temporary name, `.NAME.partial-PID.EXT`.
    ///
    /// - Parameters:
    ///   - target: The final name.
    ///   - isFolder: Whether it is a folder of images.
    ///   - overwrite: Whether something of the same kind may be replaced.
    /// - Throws: `.cannotCreate`.
    init(for target: URL, isFolder: Bool, overwrite: Bool) throws {
        url = try Self.create(for: target, isFolder: isFolder, overwrite: overwrite)
        self.target = target
        self.isFolder = isFolder
        self.overwrite = overwrite
    }

    private static func create(for target: URL, isFolder: Bool, overwrite: Bool) throws -> URL {
        let parent = target.deletingLastPathComponent()
        try requireFolder(parent, for: target)
        try requireFree(target, isFolder: isFolder, overwrite: overwrite)
        let stem = target.deletingPathExtension().lastPathComponent
        let suffix = isFolder || target.pathExtension.isEmpty ? "" : ".\(target.pathExtension)"
        let process = ProcessInfo.processInfo.processIdentifier
        var candidate = parent.appendingPathComponent(".\(stem).partial-\(process)\(suffix)", isDirectory: isFolder)
        var count = 1
        while FileManager.default.fileExists(atPath: candidate.path) {
            count += 1
            candidate = parent.appendingPathComponent(
                ".\(stem).partial-\(process)-\(count)\(suffix)", isDirectory: isFolder)
        }
        do {
            if isFolder {
                try FileManager.default.createDirectory(at: candidate, withIntermediateDirectories: false)
            } else {
                try Data().write(to: candidate, options: .withoutOverwriting)
            }
            return candidate
        } catch {
            throw VisemeError(
                .cannotCreate, "'\(target.path)' cannot be created: nothing can be written in '\(parent.path)'",
                hint: "check the folder's permissions and the free space", cause: error)
        }
    }

    deinit {
        // An error cannot be reported here; a leftover has a hidden name.
        if !isPublished { try? FileManager.default.removeItem(at: url) }
    }

    /// Renames the output to its final name, atomically.
    ///
    /// - Throws: `.cannotCreate` when the target was created meanwhile, or the rename fails.
    mutating func publish() throws {
        try Self.requireFree(target, isFolder: isFolder, overwrite: overwrite)
        if isFolder, FileManager.default.fileExists(atPath: target.path) {
            // Renaming over a folder needs an empty one; this one holds numbered images only.
            try FinishedOutput.publish(url, as: target)
        } else if overwrite || isFolder {
            try move(url, to: target)
        } else if link(url.path, target.path) == 0 {
            unlink(url.path)
        } else if errno == EEXIST {
            throw Self.exists(target)
        } else {
            // A file system without hard links: only the check above protects an existing file.
            try move(url, to: target)
        }
        isPublished = true
    }

    private func move(_ source: URL, to destination: URL) throws {
        guard rename(source.path, destination.path) == 0 else {
            let reason = String(cString: strerror(errno))
            throw VisemeError(.cannotCreate, "'\(destination.path)' cannot get its final name: \(reason)")
        }
    }

    private static func exists(_ target: URL) -> VisemeError {
        VisemeError(.cannotCreate, "'\(target.path)' exists", hint: "give another name, or --force to replace it")
    }

    private static func requireFolder(_ parent: URL, for target: URL) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: parent.path, isDirectory: &isFolder), isFolder.boolValue else {
            throw VisemeError(
                .cannotCreate, "'\(target.path)' cannot be created: there is no folder '\(parent.path)'",
                hint: "mkdir -p '\(parent.path)'")
        }
        guard FileManager.default.isWritableFile(atPath: parent.path) else {
            throw VisemeError(
                .cannotCreate, "'\(target.path)' cannot be created: the folder '\(parent.path)' is not writable")
        }
    }

    private static func requireFree(_ target: URL, isFolder: Bool, overwrite: Bool) throws {
        var standsFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: target.path, isDirectory: &standsFolder) else { return }
        guard standsFolder.boolValue == isFolder else {
            let (there, wanted) = isFolder ? ("a file", "a folder of images") : ("a folder", "a video file")
            throw VisemeError(.cannotCreate, "'\(target.path)' is \(there); \(wanted) cannot take its place")
        }
        guard isFolder else {
            if !overwrite { throw exists(target) }
            return
        }
        let content: [String]
        do {
            content = try FileManager.default.contentsOfDirectory(atPath: target.path)
        } catch {
            throw VisemeError(.cannotCreate, "The folder '\(target.path)' cannot be read", cause: error)
        }
        guard !content.isEmpty else { return }
        guard overwrite else { throw exists(target) }
        if let other = content.first(where: { $0.wholeMatch(of: /[0-9]{6,}\.png/) == nil }) {
            throw VisemeError(
                .cannotCreate, "The folder '\(target.path)' also holds '\(other)', so it is not replaced",
                hint: "give an empty or a new folder")
        }
    }
}
