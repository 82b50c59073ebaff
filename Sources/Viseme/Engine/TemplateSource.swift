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
        func open(_ path: String, _ width: Int, _ height: Int, memory: Int) async throws -> any TemplateReader {
            let reader = try await media.template(at: try avatar.member(path), memory: memory)
            guard reader.frameCount == manifest.frames else {
                throw VisemeError(
                    .badData, "'\(path)' holds \(reader.frameCount) frames, avatar.json says \(manifest.frames).",
                    hint: "The template is incomplete or belongs to another pack.")
            }
            guard reader.width == width, reader.height == height else {
                throw VisemeError(
                    .badData, "'\(path)' has \(reader.width)×\(reader.height) pixels, expected \(width)×\(height).")
            }
            return reader
        }
        if let names = manifest.precut {
            let (crop, roi) = (manifest.geometry.crop, manifest.geometry.roi)
            precut = (
                try await open(names.crops, crop, crop, memory: memory / 8),
                try await open(names.rois, roi, roi, memory: memory / 8),
                try await open(names.masked, roi, roi, memory: memory / 8)
            )
            frames = try await open(manifest.template, manifest.width, manifest.height, memory: memory / 8 * 5)
        } else {
            precut = nil
            frames = try await open(manifest.template, manifest.width, manifest.height, memory: memory)
        }
    }

    func frame(at index: Int) async throws -> TemplateFrame {
        var result = TemplateFrame(picture: try await frames.frame(at: index))
        if let precut {
            func image(_ reader: any TemplateReader, _ side: Int) async throws -> Image {
                try await reader.frame(at: index).checkedImage(of: PixelArea(x: 0, y: 0, width: side, height: side))
            }
            result.crop = try await image(precut.crops, geometry.crop)
            result.roi = try await image(precut.rois, geometry.roi)
            result.masked = try await image(precut.masked, geometry.roi)
        }
        return result
    }
}
