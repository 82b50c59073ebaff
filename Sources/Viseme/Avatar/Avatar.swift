public import Foundation

/// An avatar pack on disk: its manifest, its crop squares and where its files are.
///
/// Opening a pack reads and checks the manifest and the crop squares; models are hashed when they are loaded, or all at
/// once by `verify()`. Frames stay on disk.
public struct Avatar: Sendable {
    /// The pack's folder.
    public let url: URL
    /// `avatar.json`.
    public let manifest: AvatarManifest
    /// What the manifest's models are.
    public let family: GeneratorFamily
    /// One crop a template frame, all inside the frame: squares, or of the family's constant size.
    public let squares: [PixelArea]
    /// What is drawn of the crops, where the family's composition is `.blended`.
    public let mask: BlendMask?

    private struct Crops: Codable {
        var squares: [[Int]]
    }

    /// Opens a pack.
    ///
    /// - Parameter url: The folder with `avatar.json`.
    /// - Throws: `.noInput` when a file is missing; `.badData` when the manifest or a rectangle is wrong (the frame is
    ///   named); `.unsupported` for a format that this version does not read, or a family that it does not know.
    public init(contentsOf url: URL) throws {
        self.url = url
        guard Self.isPack(at: url) else {
            throw VisemeError(
                .noInput, "'\(url.path)' is not an avatar pack: it has no avatar.json.",
                hint: "Give the folder of a pack, or make one with: viseme avatar import SOURCE OUT")
        }
        manifest = try Self.decode(AvatarManifest.self, from: url.appending(path: "avatar.json"))
        try manifest.validate()
        family = try GeneratorFamily.named(manifest.family)

        let crops = try Self.decode(Crops.self, from: Self.member(manifest.crops, of: url))
        guard crops.squares.count == manifest.frames else {
            throw VisemeError(
                .badData,
                "\(manifest.crops) holds \(crops.squares.count) crop squares, avatar.json says \(manifest.frames) frames.",
                hint: "Every template frame needs one.")
        }
        let size = family.cropSize(manifest.geometry)
        squares = try crops.squares.enumerated().map { [manifest] index, corners in
            do {
                let square = try PixelArea(corners: corners, size: size)
                guard square.fits(width: manifest.width, height: manifest.height) else {
                    throw VisemeError(
                        .badData, "it reaches out of the \(manifest.width)×\(manifest.height) frame")
                }
                return square
            } catch let error as VisemeError {
                throw VisemeError(
                    .badData, "\(manifest.crops): frame \(index) has the rectangle \(corners): \(error.message)",
                    hint: "Correct the rectangle, or import the pack again from its source.")
            }
        }
        mask = try manifest.mask.map { [manifest] in try Self.mask($0, manifest.geometry.roi, in: url) }
        for model in manifest.models { _ = try Self.member(model.file, of: url) }
    }

    /// Whether this is the folder of a pack, sound or broken: it has an `avatar.json`.
    public static func isPack(at url: URL) -> Bool {
        FileManager.default.fileExists(atPath: url.appending(path: "avatar.json").path)
    }

    /// Finds an avatar by path or by name.
    ///
    /// - Parameters:
    ///   - name: A folder's path, or a name such as `robin`.
    ///   - folders: Where names are looked up, in order: `NAME.avatar`, then `NAME`.
    /// - Throws: `.noInput` listing every place that was tried.
    public static func find(_ name: String, in folders: [URL]) throws -> Avatar {
        var tried: [String] = []
        var candidates = [URL(filePath: name)]
        if !name.contains("/") {
            candidates += folders.flatMap { [$0.appending(path: "\(name).avatar"), $0.appending(path: name)] }
        }
        for candidate in candidates {
            if isPack(at: candidate) { return try Avatar(contentsOf: candidate) }
            tried.append(candidate.path)
        }
        throw VisemeError(
            .noInput, "No avatar '\(name)'. Tried: \(tried.joined(separator: ", ")).",
            hint: "Give the path of a pack, or put packs into a folder and name it in VISEME_AVATARS.")
    }

    /// The model with a role.
    ///
    /// - Throws: `.noInput` when the pack has none.
    public func model(_ role: ModelRole) throws -> ModelFile {
        guard let description = manifest.models.first(where: { $0.role == role }) else {
            throw VisemeError(
                .noInput, "The pack '\(manifest.name)' has no \(role.rawValue).",
                hint: "Import it again with the model: viseme avatar import SOURCE OUT --\(role.rawValue) FILE.onnx")
        }
        return ModelFile(description, at: try member(description.file), family: family)
    }

    /// Checks the SHA-256 of every model, file or folder.
    public func verify() throws {
        for description in manifest.models { try model(description.role).verify() }
    }

    /// Opens the template and checks that its frames are as many and as large as the manifest says.
    public func verifyTemplate(media: any MediaBackend) async throws {
        let source = try await TemplateSource(self, media: media, memory: 0)
        // Every one: a damaged picture is found here, not in the middle of a render.
        for index in 0..<manifest.frames {
            try Task.checkCancellation()
            _ = try await source.frame(at: index)
        }
    }

    /// What cuts and composes the pictures of this pack.
    public var compositor: Compositor { Compositor(manifest.geometry, family.composition, mask: mask) }

    /// The crop of a template frame.
    public func square(ofTemplateFrame index: Int) -> PixelArea { squares[index] }

    /// The template frame that video frame `index` shows.
    public func templateIndex(ofFrame index: Int) -> Int {
        Self.pingPong(index, count: manifest.frames)
    }

    /// Whether the template's own mouth is closed throughout, so that it can be shown as it is while there is no speech.
    public var isIdleThroughout: Bool { manifest.idle == [0, manifest.frames] }

    /// 1, 2, …, n−1, n−2, …, 1, 0, 1, …: period 2(n−1); frame 0 is not first, as in the reference.
    static func pingPong(_ index: Int, count: Int) -> Int {
        guard count > 1 else { return 0 }
        let period = 2 * (count - 1)
        let position = (index % period + 1) % period
        return position < count ? position : period - position
    }

    /// A file of the pack, which must not lie outside it.
    public func member(_ path: String) throws -> URL { try Self.member(path, of: url) }

    private static func member(_ path: String, of pack: URL) throws -> URL {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.isEmpty, !path.hasPrefix("/"), !parts.contains(".."), !path.contains("\0"), !path.contains("\\")
        else {
            throw VisemeError(
                .badData, "avatar.json names '\(path)', which is not a path inside the pack.",
                hint: "Paths in a pack are relative and never contain \"..\".")
        }
        // A symbolic link must not lead out of the pack either. Part by part: the last ones may not exist (a pattern).
        let root = pack.resolvingSymlinksInPath()
        let inside = root.path.hasSuffix("/") ? root.path : root.path + "/"
        var reached = root
        for part in parts where !part.isEmpty {
            reached = reached.appending(path: String(part)).resolvingSymlinksInPath()
            guard reached.path.hasPrefix(inside) else {
                throw VisemeError(.badData, "'\(path)' leads out of the pack at \(pack.path).")
            }
        }
        return pack.appending(path: path)
    }

    private static func mask(_ named: AvatarManifest.Mask, _ size: PixelSize, in pack: URL) throws -> BlendMask {
        let url = try member(named.file, of: pack)
        let data: Data
        do {
            data = try Data(contentsOf: url, options: .mappedIfSafe)
        } catch {
            throw VisemeError(.noInput, "The mask '\(url.path)' cannot be read.", cause: error)
        }
        let mask = try BlendMask(pgm: data, size: size, name: named.file)
        let found = ModelFile.sha256(of: data)
        guard found == named.sha256.lowercased() else {
            throw VisemeError(
                .badData, "The mask '\(named.file)' has SHA-256 \(found), avatar.json says \(named.sha256).",
                hint: "Restore the file, or write the new hash into avatar.json if the change is meant.")
        }
        return mask
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, from url: URL) throws -> Value {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(.noInput, "'\(url.path)' cannot be read.", cause: error)
        }
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as DecodingError {
            throw VisemeError(.badData, "\(url.lastPathComponent): \(Self.explain(error))", hint: "File: \(url.path)")
        }
    }

    private static func explain(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            let parent = path(context)
            return "the key \"\(parent.isEmpty ? "" : parent + ".")\(key.stringValue)\" is missing."
        case .typeMismatch(let type, let context): return "\"\(path(context))\" is not of type \(type)."
        case .valueNotFound(let type, let context): return "\"\(path(context))\" is null, expected \(type)."
        case .dataCorrupted(let context):
            let place = path(context)
            return place.isEmpty ? "not valid JSON." : "\"\(place)\": \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}
