import Foundation
import Logging
import Viseme
import VisemeStreaming

/// The packs that were uploaded: a folder of the data folder. A pack has its name there only when it was found well.
actor AvatarUploads {
    private static let unfinished = ".partial-", removed = ".deleted-"

    private let folder: URL
    private let library: AvatarLibrary
    private let most: Int
    private let examine: @Sendable (URL) async throws -> Void
    private let logger: Logger
    private var isBusy = false

    /// Opens the folder; what an earlier process did not finish is removed.
    ///
    /// - Parameter examine: Throws when a pack has a fault.
    init(
        _ configuration: ServerConfiguration, library: AvatarLibrary, logger: Logger,
        examine: @escaping @Sendable (URL) async throws -> Void
    ) throws {
        folder = configuration.uploadedAvatars
        most = configuration.maxUploadedAvatars
        (self.library, self.logger, self.examine) = (library, logger, examine)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
            where name.hasPrefix(Self.unfinished) || name.hasPrefix(Self.removed) {
                try FileManager.default.removeItem(at: folder.appending(path: name))
            }
        } catch {
            throw VisemeError(.cannotCreate, "The folder '\(folder.path)' cannot be written", cause: error)
        }
    }

    /// Unpacks an archive, examines the pack, and gives it its name.
    ///
    /// - Parameters:
    ///   - wanted: The pack's id; nil for the name of the folder in the archive.
    ///   - archive: A tar archive of a pack's folder, or of what is in it.
    /// - Returns: The pack's id.
    /// - Throws: `.usage` for a name that is none; `.conflict` for one that exists; `.badData` for an archive or a pack with a
    ///   fault; `.busy` while another pack is taken, or when there are too many.
    func add(_ wanted: String?, archive: some AsyncSequence<Data, any Error> & Sendable) async throws -> String {
        guard !isBusy else {
            throw VisemeError(.busy, "Another pack is being uploaded", hint: "Try again when it is done.")
        }
        isBusy = true
        defer { isBusy = false }
        if let wanted { try await requireFree(wanted) }
        guard try packs().count < most else {
            throw VisemeError(
                .full, "There are \(most) uploaded avatars, as many as \"maxUploadedAvatars\" allows",
                hint: "Delete one: DELETE /v1/avatars/NAME")
        }
        let scratch = folder.appending(path: Self.unfinished + UUID().uuidString)
        defer { remove(scratch) }
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: false)
        try await unpack(archive, into: scratch)
        let (pack, name) = try Self.pack(in: scratch)
        let id = wanted ?? name
        guard let id else {
            throw VisemeError(
                .usage, "The archive has no folder whose name could be the avatar's", hint: "Add ?name=NAME")
        }
        try await requireFree(id)
        do {
            _ = try Avatar(contentsOf: pack)
            try await examine(pack)
        } catch let error as VisemeError where error.code != .busy {
            // Where it lies meanwhile is nobody's business.
            throw VisemeError(
                error.code == .internal ? .internal : .badData,
                error.message.replacing(pack.path, with: name ?? "the pack"),
                hint: error.hint?.replacing(pack.path, with: name ?? "the pack"))
        }
        try await requireFree(id)
        try FileManager.default.moveItem(at: pack, to: folder.appending(path: "\(id).avatar"))
        logger.notice("The avatar '\(id)' was uploaded")
        return id
    }

    /// Removes an uploaded pack.
    ///
    /// - Throws: `.notFound`; `.forbidden` for a pack of the server's own folders; `.conflict` while it is in use.
    func remove(_ id: String) async throws {
        let pack = folder.appending(path: "\(id).avatar")
        guard AvatarLibrary.isID(id), Avatar.isPack(at: pack) else {
            _ = try await library.pack(id)
            throw VisemeError(
                .forbidden, "The avatar '\(id)' was not uploaded: it belongs to the server's own folders",
                hint: "Remove its folder on the server.")
        }
        try await library.forget(id)
        let away = folder.appending(path: Self.removed + UUID().uuidString)
        try FileManager.default.moveItem(at: pack, to: away)
        remove(away)
        logger.notice("The avatar '\(id)' was deleted")
    }

    private func packs() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasPrefix(".") }
    }

    private func requireFree(_ id: String) async throws {
        guard AvatarLibrary.isID(id), !id.hasSuffix(".avatar") else {
            throw VisemeError(
                .usage, "'\(id.prefix(64))' is no name for an avatar",
                hint: "1…64 letters, digits, dots, hyphens and underscores; the first one is no dot.")
        }
        let isTaken = await library.all().contains { $0.id.lowercased() == id.lowercased() }
        guard !isTaken, !FileManager.default.fileExists(atPath: folder.appending(path: "\(id).avatar").path) else {
            throw VisemeError(
                .conflict, "There is an avatar '\(id)'", hint: "Choose another name, or DELETE /v1/avatars/\(id) first."
            )
        }
    }

    private func unpack(_ archive: some AsyncSequence<Data, any Error> & Sendable, into folder: URL) async throws {
        var reader = TarReader()
        var file: UploadFile?
        for try await data in archive {
            for event in try reader.take(data) {
                switch event {
                case .file(let path):
                    let url = folder.appending(path: path)
                    do {
                        try FileManager.default.createDirectory(
                            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                        file = try UploadFile(url)
                    } catch let error as CocoaError where error.code == .fileWriteOutOfSpace {
                        throw VisemeError(.full, "The disk is full")
                    } catch {
                        throw VisemeError(.badData, "The archive has '\(path)' as a file and as a folder, or twice")
                    }
                case .bytes(let bytes): try await file?.append(bytes)
                case .end:
                    try await file?.close()
                    file = nil
                }
            }
        }
        try reader.finish()
    }

    /// The folder with the pack, and its name; nil where the archive has the pack's files at its top.
    private static func pack(in scratch: URL) throws -> (URL, String?) {
        if Avatar.isPack(at: scratch) { return (scratch, nil) }
        let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
        guard names.count == 1, let name = names.first, Avatar.isPack(at: scratch.appending(path: name)) else {
            throw VisemeError(
                .badData, "The archive has no avatar.json at its top or in its only folder",
                hint: "tar --format=ustar -cf me.tar me.avatar")
        }
        return (scratch.appending(path: name), name.hasSuffix(".avatar") ? String(name.dropLast(7)) : name)
    }

    private nonisolated func remove(_ url: URL) {
        do {
            if FileManager.default.fileExists(atPath: url.path) { try FileManager.default.removeItem(at: url) }
        } catch {
            logger.warning("'\(url.path)' cannot be removed: \(error)")
        }
    }
}

extension ServerConfiguration {
    /// Where uploaded packs lie.
    var uploadedAvatars: URL { URL(filePath: data).appending(path: "avatars") }
}
