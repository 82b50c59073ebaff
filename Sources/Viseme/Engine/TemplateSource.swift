/// The template frames of an avatar, with the ready-made crops where the pack brings them.
struct TemplateSource: Sendable {
    /// A template frame and what is already cut from it.
    struct TemplateFrame: Sendable {
        var picture: any Picture
        var crop: Image?
        var roi: Image?
        var masked: Image?
    }

    private let frames: any TemplateReader
    private let geometry: CropGeometry
    private let precut: (crops: any TemplateReader, rois: any TemplateReader, masked: any TemplateReader)?

    init(_ avatar: Avatar, media: any MediaBackend, memory: Int) async throws {
        let manifest = avatar.manifest
        geometry = manifest.geometry
        func open(_ path: String, _ size: PixelSize, memory: Int) async throws -> any TemplateReader {
            let reader = try await media.template(at: try avatar.member(path), memory: memory)
            guard reader.frameCount == manifest.frames else {
                throw VisemeError(
                    .badData, "'\(path)' holds \(reader.frameCount) frames, avatar.json says \(manifest.frames).",
                    hint: "The template is incomplete or belongs to another pack.")
            }
            guard reader.width == size.width, reader.height == size.height else {
                throw VisemeError(
                    .badData, "'\(path)' has \(reader.width)×\(reader.height) pixels, expected \(size).")
            }
            return reader
        }
        let whole = PixelSize(width: manifest.width, height: manifest.height)
        if let names = manifest.precut {
            let (crop, roi) = (manifest.geometry.crop, manifest.geometry.roi)
            precut = (
                try await open(names.crops, crop, memory: memory / 8),
                try await open(names.rois, roi, memory: memory / 8),
                try await open(names.masked, roi, memory: memory / 8)
            )
            frames = try await open(manifest.template, whole, memory: memory / 8 * 5)
        } else {
            precut = nil
            frames = try await open(manifest.template, whole, memory: memory)
        }
    }

    func forget() async {
        await frames.forget()
        for reader in [precut?.crops, precut?.rois, precut?.masked] { await reader?.forget() }
    }

    func frame(at index: Int) async throws -> TemplateFrame {
        var result = TemplateFrame(picture: try await frames.frame(at: index))
        if let precut {
            func image(_ reader: any TemplateReader, _ size: PixelSize) async throws -> Image {
                try await reader.frame(at: index).checkedImage(
                    of: PixelArea(x: 0, y: 0, width: size.width, height: size.height))
            }
            result.crop = try await image(precut.crops, geometry.crop)
            result.roi = try await image(precut.rois, geometry.roi)
            result.masked = try await image(precut.masked, geometry.roi)
        }
        return result
    }
}
