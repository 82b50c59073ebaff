import Foundation
import Logging
import Viseme
import VisemeFFmpeg
import VisemeStreaming

/// The server's avatars, and those that are loaded.
actor AvatarLibrary {
    private let folders: [URL]
    private let preferred: String
    private let capacity: Int
    private let crf: Int
    private let media: FFmpeg
    private let makeEngine: @Sendable (Avatar) async throws -> Engine
    private let logger: Logger
    private var packs: [String: Avatar] = [:]
    /// An avatar that is loaded or being loaded.
    private struct Entry {
        /// The loading task; nil once it is loaded.
        var task: Task<LoadedAvatar, any Error>?
        var avatar: LoadedAvatar?
        var used: Int
        var number: Int
    }

    private var loaded: [String: Entry] = [:]
    private var uses = 0
    private var previews: [String: Data] = [:]

    /// Makes a library; nothing is read yet.
    init(
        _ configuration: ServerConfiguration, media: FFmpeg, logger: Logger,
        makeEngine: @escaping @Sendable (Avatar) async throws -> Engine
    ) {
        folders = configuration.avatars.map { URL(filePath: $0) } + [configuration.uploadedAvatars]
        preferred = configuration.defaultAvatar
        capacity = configuration.maxLoadedAvatars
        crf = configuration.crf
        self.media = media
        self.logger = logger
        self.makeEngine = makeEngine
    }

    /// All packs that can be opened, by id. Every call searches the folders.
    func all() -> [(id: String, avatar: Avatar)] {
        for folder in folders {
            // A missing folder holds no packs.
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            for name in names.sorted() {
                let id = name.hasSuffix(".avatar") ? String(name.dropLast(7)) : name
                let url = folder.appending(path: name)
                guard packs[id] == nil, Self.isID(id), Avatar.isPack(at: url) else { continue }
                do {
                    packs[id] = try Avatar(contentsOf: url)
                } catch {
                    logger.warning("The avatar '\(url.path)' is ignored: \(error)")
                }
            }
        }
        return packs.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// The id of the default avatar.
    ///
    /// - Throws: `.notFound` when there is none.
    func defaultID() throws -> String {
        let ids = all().map(\.id)
        guard let id = preferred.isEmpty ? ids.first : ids.first(where: { $0 == preferred }) else {
            let places = folders.map(\.path).joined(separator: ", ")
            throw VisemeError(
                .notFound, "There is no avatar\(preferred.isEmpty ? "" : " '\(preferred)'") in \(places)",
                hint: "Give the folder of your packs: viseme serve --avatars DIR")
        }
        return id
    }

    /// The pack with an id.
    ///
    /// - Throws: `.notFound`.
    func pack(_ id: String) throws -> Avatar {
        if let avatar = packs[id] { return avatar }
        guard let avatar = all().first(where: { $0.id == id })?.avatar else {
            throw VisemeError(.notFound, "There is no avatar '\(id.prefix(64))'", hint: "GET /v1/avatars lists them.")
        }
        return avatar
    }

    /// An avatar with its models, loaded at the first request.
    ///
    /// - Throws: `.notFound`; `.busy` when `maxLoadedAvatars` avatars are in use; `.internal` when it cannot be loaded: the cause
    ///   says why.
    func load(_ id: String) async throws -> LoadedAvatar {
        let avatar = try pack(id)
        uses += 1
        if loaded[id] == nil {
            try makeRoom()
            let (makeEngine, crf) = (makeEngine, crf)
            let task = Task { @concurrent in
                try LoadedAvatar(id: id, engine: try await makeEngine(avatar), crf: crf)
            }
            loaded[id] = Entry(task: task, used: uses, number: uses)
        }
        loaded[id]?.used = uses
        guard let entry = loaded[id] else { throw CancellationError() }
        if let avatar = entry.avatar { return avatar }
        guard let task = entry.task else { throw CancellationError() }
        do {
            let avatar = try await task.value
            if loaded[id]?.number == entry.number {
                loaded[id] = Entry(task: nil, avatar: avatar, used: uses, number: entry.number)
            }
            return avatar
        } catch {
            // A newer attempt stays: it may succeed.
            if loaded[id]?.number == entry.number { loaded[id] = nil }
            logger.error("The avatar '\(id)' cannot be loaded: \(error)")
            throw VisemeError(.internal, "The avatar '\(id)' cannot be loaded", cause: error)
        }
    }

    /// Unloads the least recently used avatar that is not in use.
    private func makeRoom() throws {
        for id in loaded.sorted(by: { $0.value.used < $1.value.used }).map(\.key) {
            guard loaded.count >= capacity else { return }
            // An avatar that is being loaded, or held by a session or a render, is in use.
            guard loaded[id]?.avatar != nil, var entry = loaded.removeValue(forKey: id) else { continue }
            if !isKnownUniquelyReferenced(&entry.avatar) { loaded[id] = entry }
        }
        guard loaded.count < capacity else {
            throw VisemeError(
                .busy, "All \(capacity) loaded avatars are in use",
                hint: "Use one of them, or try again later.")
        }
    }

    /// Forgets a pack that is going to be deleted.
    ///
    /// - Throws: `.conflict` while it is in use.
    func forget(_ id: String) throws {
        if var entry = loaded.removeValue(forKey: id) {
            guard entry.avatar != nil, isKnownUniquelyReferenced(&entry.avatar) else {
                loaded[id] = entry
                throw VisemeError(
                    .conflict, "The avatar '\(id)' is in use", hint: "End its sessions and renders, then try again.")
            }
        }
        packs[id] = nil
        previews[id] = nil
    }

    /// A picture of an avatar, as PNG.
    func preview(_ id: String) async throws -> Data {
        if let preview = previews[id] { return preview }
        let avatar = try pack(id)
        let reader = try await media.template(at: try avatar.member(avatar.manifest.template), memory: 0)
        let preview = try media.png(try await reader.frame(at: avatar.manifest.idle?.first ?? 0))
        previews[id] = preview
        return preview
    }

    /// Whether a name can be part of a URL path without escaping.
    static func isID(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
