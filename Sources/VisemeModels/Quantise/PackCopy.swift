import Foundation
import Viseme

/// A copy of a pack that has nothing in common with the original.
enum PackCopy {
    /// Copies files and folders; where a link stands, what it leads to. So nothing that is written into the copy can reach the
    /// original.
    ///
    /// - Throws: `.badData` where a link leads to a folder that holds it; whatever cannot be read or written.
    static func make(of source: URL, at target: URL) throws {
        try copy(source.resolvingSymlinksInPath(), to: target, inside: [])
    }

    private static func copy(_ source: URL, to target: URL, inside folders: Set<String>) throws {
        let files = FileManager.default
        var isFolder: ObjCBool = false
        guard files.fileExists(atPath: source.path, isDirectory: &isFolder), isFolder.boolValue else {
            return try files.copyItem(at: source, to: target)
        }
        guard !folders.contains(source.path) else {
            throw VisemeError(.badData, "A link in the pack leads back to '\(source.path)', which holds it.")
        }
        try files.createDirectory(at: target, withIntermediateDirectories: false)
        for name in try files.contentsOfDirectory(atPath: source.path) {
            try copy(
                source.appending(path: name).resolvingSymlinksInPath(), to: target.appending(path: name),
                inside: folders.union([source.path]))
        }
    }
}
