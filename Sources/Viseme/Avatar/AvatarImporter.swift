public import Foundation

/// Turns the packs that people already have into avatar packs.
///
/// All of them are of the family SyncTalk_2D.
///
/// | source | recognised by |
/// |---|---|
/// | SyncTalk_2D dataset | `full_body_img/` with 0-based images and `landmarks/` |
/// | flattened ONNX package | `cache/crop_rectangles.json` with 1-based images |
public struct AvatarImporter: Sendable {
    /// The models to put into the pack, by role; without one, a package's own models are taken, a dataset gets none.
    public var models: [ModelRole: URL] = [:]
    /// The avatar's name.
    public var name: String
    /// The licence of the material, in words or as an SPDX identifier.
    public var licence = "unknown"
    /// Whose likeness this is, and that they agreed.
    public var consent = "unknown"
    /// How a frame's feature rows are chosen.
    public var featureWindow = FeatureWindow.Choice.rows16
    /// Reads a model: its description, to bind tensors by role and shape, and its bytes as one file.
    public var read: @Sendable (ModelRole, URL) throws -> (ModelDescription, Data)

    private let media: any MediaBackend
    private let family = GeneratorFamily.syncTalk2D

    /// Makes an importer.
    ///
    /// - Parameters:
    ///   - name: The avatar's name.
    ///   - media: Opens the images, to check that they can be read and are of one size.
    ///   - read: Reads a model's tensor names and shapes, and its bytes with their hash; what it keeps in files beside it is
    ///     part of them.
    public init(
        name: String, media: any MediaBackend,
        read: @escaping @Sendable (ModelRole, URL) throws -> (ModelDescription, Data)
    ) {
        self.name = name
        self.media = media
        self.read = read
    }

    /// Imports `source` as the pack `target`, which appears only when it is complete and was opened once.
    ///
    /// - Throws: `.badData` naming the missing frame, the rectangle or the hash; `.cannotCreate` when `target` exists.
    public func run(from source: URL, to target: URL, overwrite: Bool = false) async throws {
        let files = FileManager.default
        guard overwrite || !files.fileExists(atPath: target.path) else {
            throw VisemeError(.cannotCreate, "'\(target.path)' exists.", hint: "Choose another name, or add --force.")
        }
        let partial = target.deletingLastPathComponent().appending(
            path: ".\(target.lastPathComponent).partial-\(ProcessInfo.processInfo.processIdentifier)")
        do {
            try Self.creating(partial) {
                try files.createDirectory(at: partial.appending(path: "frames"), withIntermediateDirectories: true)
            }
            try await build(from: source, in: partial)
            try FinishedOutput.publish(partial, as: target)
        } catch {
            try? files.removeItem(at: partial)  // the first error is the one that counts
            throw error
        }
    }

    private func build(from source: URL, in pack: URL) async throws {
        let files = FileManager.default
        guard files.fileExists(atPath: source.path) else {
            throw VisemeError(.noInput, "'\(source.path)' does not exist.")
        }
        let layout = try SourceLayout(source)
        for (index, image) in layout.images.enumerated() {
            try Self.link(image, to: pack.appending(path: Self.frame(index, "frames", layout.fileExtension)))
        }
        var precut: AvatarManifest.Precut?
        if let cut = layout.precut {
            for (folder, images) in [("crops", cut.crops), ("rois", cut.rois), ("masked", cut.masked)] {
                try files.createDirectory(at: pack.appending(path: folder), withIntermediateDirectories: true)
                for (index, image) in images.enumerated() {
                    try Self.link(image, to: pack.appending(path: Self.frame(index, folder, "jpg")))
                }
            }
            precut = .init(crops: "crops/%06d.jpg", rois: "rois/%06d.jpg", masked: "masked/%06d.jpg")
        }
        let pattern = "frames/%06d.\(layout.fileExtension)"
        let template = try await media.template(at: pack.appending(path: pattern), memory: 0)
        for (index, square) in layout.squares.enumerated()
        where !square.fits(width: template.width, height: template.height) {
            throw VisemeError(
                .badData,
                "Frame \(index) of '\(source.path)' has the rectangle \(square.corners), which reaches out of the "
                    + "\(template.width)×\(template.height) frame.")
        }
        // Each of them once: a damaged image, or one of another size, is found now and not in the middle of a render.
        for index in 0..<template.frameCount {
            try Task.checkCancellation()
            let picture = try await template.frame(at: index)
            guard picture.width == template.width, picture.height == template.height else {
                throw VisemeError(
                    .badData,
                    "Image \(index) of '\(source.path)' is \(picture.width)×\(picture.height), the first one "
                        + "\(template.width)×\(template.height).")
            }
        }
        var descriptions: [ModelDescription] = []
        for role in ModelRole.drawing {
            guard let url = models[role] ?? layout.models[role] else { continue }
            if models[role] == nil, let stated = layout.modelHashes[role],
                case let actual = try ModelFile.sha256(at: url),
                stated.lowercased() != actual
            {
                throw VisemeError(
                    .badData,
                    "The \(role.rawValue) '\(url.path)' has SHA-256 \(actual), onnx_dist_config.json says \(stated).",
                    hint: "The package is damaged: fetch it again, or give the right file with --\(role.rawValue).")
            }
            var (description, contents) = try read(role, url)
            description.file = role == .generator ? "generator.onnx" : "audio_encoder.onnx"
            let file = pack.appending(path: description.file)
            try Self.creating(file) { try contents.write(to: file) }
            descriptions.append(description)
        }
        let manifest = AvatarManifest(
            format: 1, family: family.manifestName, name: name, fps: family.frameRate, width: template.width,
            height: template.height, frames: layout.images.count,
            template: pattern, crops: "crops.json", templateOrder: .pingPong, featureWindow: featureWindow,
            geometry: try geometry(for: descriptions, isFlattened: layout.isFlattened), colourOrder: family.colourOrder,
            valueRange: family.valueRange, idle: nil, precut: precut, licence: licence, consent: consent,
            synthetic: nil,
            models: descriptions, provenance: .init(converter: "viseme avatar import"), golden: nil)
        try JSONEncoder.pack.encode(["squares": layout.squares.map(\.corners)]).write(
            to: pack.appending(path: "crops.json"))
        try manifest.write(into: pack)
        _ = try Avatar(contentsOf: pack)
    }

    /// The geometry that fits the generator's image input. A model whose shapes are not fixed counts as the usual one; loading the
    /// pack checks it.
    private func geometry(for models: [ModelDescription], isFlattened: Bool) throws -> CropGeometry {
        let generator = models.first { $0.role == .generator }
        let size = generator.flatMap { family.generator.picture(of: .image, among: $0.inputs) }
        guard var geometry = family.geometry(roi: size ?? family.geometry.roi) else {
            let sizes = family.geometries.map { "\($0.roi)" }.joined(separator: " or ")
            throw VisemeError(
                .unsupported, "The generator draws \(size ?? family.geometry.roi) pixels, expected \(sizes).",
                hint: "viseme inspect shows the shapes of a model.")
        }
        if isFlattened, let mask = family.flattenedMask {
            guard geometry == family.geometry else {
                throw VisemeError(
                    .unsupported,
                    "The source is a package for generators of \(family.geometry.roi), this one draws "
                        + "\(geometry.roi).",
                    hint: "Import the dataset with its landmarks instead.")
            }
            geometry.mask = mask
        }
        return geometry
    }

    private static func frame(_ index: Int, _ folder: String, _ fileExtension: String) -> String {
        let digits = String(index)
        return "\(folder)/\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits).\(fileExtension)"
    }

    private static func link(_ source: URL, to target: URL) throws {
        guard FileManager.default.fileExists(atPath: source.path) else {
            throw VisemeError(.badData, "'\(source.path)' is missing.", hint: "The source is incomplete.")
        }
        try creating(target) { try FileManager.default.copyItem(at: source.resolvingSymlinksInPath(), to: target) }
    }

    private static func creating(_ url: URL, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            throw VisemeError(.cannotCreate, "'\(url.path)' cannot be written.", cause: error)
        }
    }
}

/// What was found in a source folder: files by number and one square a frame.
private struct SourceLayout {
    var images: [URL]
    var fileExtension: String
    var squares: [PixelArea]
    /// Whether it is a flattened package, whose own preparation blackened another rectangle than the training.
    var isFlattened = false
    var precut: (crops: [URL], rois: [URL], masked: [URL])?
    var models: [ModelRole: URL] = [:]
    var modelHashes: [ModelRole: String] = [:]

    init(_ source: URL) throws {
        let body = source.appending(path: "full_body_img")
        let rectangles = source.appending(path: "cache/crop_rectangles.json")
        if FileManager.default.fileExists(atPath: rectangles.path) {
            (images, fileExtension) = try Self.numbered(in: body, from: 1)
            squares = try Self.squares(from: rectangles, count: images.count)
            isFlattened = true
            let count = images.count
            let cut = try ["crops_328", "rois_320", "model_inputs"].map { folder -> [URL]? in
                let url = source.appending(path: folder)
                guard FileManager.default.fileExists(atPath: url.path) else { return nil }
                let (images, _) = try Self.numbered(in: url, from: 1)
                guard images.count == count else {
                    throw VisemeError(.badData, "'\(url.path)' has \(images.count) images, full_body_img has \(count).")
                }
                return images
            }
            if let crops = cut[0], let rois = cut[1], let masked = cut[2] { precut = (crops, rois, masked) }
            for (role, file) in [(ModelRole.generator, "generator.onnx"), (.audioEncoder, "audio_encoder.onnx")] {
                let url = source.appending(path: "models/\(file)")
                if FileManager.default.fileExists(atPath: url.path) { models[role] = url }
            }
            modelHashes = try Self.hashes(source.appending(path: "onnx_dist_config.json"))
        } else {
            (images, fileExtension) = try Self.numbered(in: body, from: 0)
            squares = try Self.landmarkSquares(of: images, in: source)
        }
    }

    /// The squares of all images; what is wrong with any of the landmarks is told at once.
    private static func landmarkSquares(of images: [URL], in source: URL) throws -> [PixelArea] {
        var problems: [String] = []
        var squares: [PixelArea] = []
        for (index, image) in images.enumerated() {
            // The same number, padded with zeros or not.
            let names = [image.deletingPathExtension().lastPathComponent, "\(index)"].map { "landmarks/\($0).lms" }
            // Absent or not text: the same answer.
            let found = names.lazy.compactMap { name in
                (try? String(contentsOf: source.appending(path: name), encoding: .utf8)).map { (name, $0) }
            }.first
            guard let (name, text) = found else {
                problems.append("Frame \(index) has no readable landmarks: '\(source.appending(path: names[0]).path)'.")
                continue
            }
            do {
                squares.append(try Landmarks(parsing: text, name: name).square(name: name))
            } catch let error as VisemeError {
                problems.append(error.message)
            }
        }
        guard problems.isEmpty else {
            let shown =
                problems.prefix(20).joined(separator: "\n")
                + (problems.count > 20 ? "\n… and \(problems.count - 20) more" : "")
            throw VisemeError(.badData, shown, hint: "Every image in full_body_img needs landmarks/NUMBER.lms.")
        }
        return squares
    }

    /// The images `first`, `first + 1`, …: iterated by number, since directory order means nothing.
    private static func numbered(in folder: URL, from first: Int) throws -> ([URL], String) {
        // Absent or unreadable: the error below says more than the cause would.
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
            throw VisemeError(
                .badData,
                "'\(folder.path)' does not exist: this is neither a SyncTalk_2D dataset nor a flattened package.",
                hint: "Expected full_body_img/ with landmarks/, or with cache/crop_rectangles.json.")
        }
        var numbered: [String: [Int: String]] = [:]
        for name in names.sorted() {
            let url = URL(filePath: name)
            let stem = url.deletingPathExtension().lastPathComponent
            guard !stem.isEmpty, stem.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(stem) else {
                continue
            }
            let kind = url.pathExtension.lowercased() == "jpeg" ? "jpg" : url.pathExtension.lowercased()
            if let other = numbered[kind, default: [:]].updateValue(name, forKey: number),
                ["jpg", "png"].contains(kind)
            {
                throw VisemeError(.badData, "'\(folder.path)' has number \(number) twice: '\(other)' and '\(name)'.")
            }
        }
        guard let (kind, found) = ["jpg", "png"].compactMap({ kind in numbered[kind].map { (kind, $0) } }).first else {
            throw VisemeError(.badData, "'\(folder.path)' holds no numbered .jpg or .png images.")
        }
        let sorted = found.sorted { $0.key < $1.key }
        for (offset, (number, name)) in sorted.enumerated() where number != first + offset {
            throw VisemeError(
                .badData,
                "'\(folder.path)': frame \(first + offset).\(kind) is missing (the next one there is \(name)).")
        }
        return (sorted.map { folder.appending(path: $0.value) }, kind)
    }

    private static func squares(from url: URL, count: Int) throws -> [PixelArea] {
        struct Entry: Decodable { var rect: [Int] }
        let entries: [String: Entry]
        do {
            entries = try JSONDecoder().decode([String: Entry].self, from: Data(contentsOf: url))
        } catch {
            throw VisemeError(.badData, "'\(url.path)' is not {\"0\": {\"rect\": [x1, y1, x2, y2]}, …}.", cause: error)
        }
        return try (0..<count).map { index in
            guard let entry = entries["\(index)"] else {
                throw VisemeError(
                    .badData, "crop_rectangles.json has no entry \"\(index)\" for image \(index + 1).jpg.")
            }
            do {
                return try PixelArea(corners: entry.rect)
            } catch let error as VisemeError {
                throw VisemeError(.badData, "crop_rectangles.json, entry \"\(index)\": \(error.message)")
            }
        }
    }

    private static func hashes(_ url: URL) throws -> [ModelRole: String] {
        struct Config: Decodable {
            struct Model: Decodable { var sha256: String? }
            var generator: Model?
            var audioEncoder: Model?

            private enum CodingKeys: String, CodingKey {
                case generator
                case audioEncoder = "audio_encoder"
            }
        }
        guard FileManager.default.fileExists(atPath: url.path) else { return [:] }
        do {
            let config = try JSONDecoder().decode(Config.self, from: Data(contentsOf: url))
            var hashes: [ModelRole: String] = [:]
            hashes[.generator] = config.generator?.sha256
            hashes[.audioEncoder] = config.audioEncoder?.sha256
            return hashes
        } catch {
            throw VisemeError(.badData, "'\(url.path)' cannot be read as JSON with generator.sha256.", cause: error)
        }
    }
}
