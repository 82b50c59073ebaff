import Foundation
import Viseme
import VisemeFFmpeg

/// The faces of a clip, at the size at which they are as wide as the template's.
struct ClipFaces: Sendable {
    /// Degrees by which a head may be turned, and by how much its size may differ from the median.
    private static let yaw = 30.0, size = 0.15

    /// By frame; nil where no face was found.
    let meshes: [FaceMesh?]
    let places: [HeadPlace?]
    /// The crop's upper left corner, by frame.
    let corners: [SIMD2<Int>]
    /// Whether a frame can be measured.
    let isGood: [Bool]
    /// Size of the frames, and by how much that is not the clip's.
    let frameSize: PixelSize
    let scale: Double
    /// Width of the face in pixels, the median.
    let width: Double

    /// Follows the face through the whole clip.
    ///
    /// - Throws: `.badData` when half of the frames have no face.
    init(
        _ url: URL, like template: TemplateFaces, avatar: Avatar, models: FaceModels, media: FFmpeg,
        progress: (Int) -> Void
    ) async throws {
        let reader = try await media.clip(at: url)
        let shown = await reader.size
        var tracker = FaceTracker(models)
        var found: [FaceMesh?] = []
        while let frame = try await reader.next(), found.count < ClipSpeech.longest * 25 {
            found.append(try await tracker.next(frame.image))
            progress(found.count)
        }
        let seen = found.compactMap(\.self)
        guard seen.count * 2 >= found.count, !seen.isEmpty else {
            throw VisemeError(
                .badData,
                "A face was found in \(seen.count) of the \(found.count) frames of '\(url.lastPathComponent)'.",
                hint: "The clip must show one person who looks at the lens.")
        }
        let face = seen.map(\.width).median
        (frameSize, scale) = Self.size(shown, scale: template.width / face, avatar: avatar)
        let (x, y) = (
            Double(frameSize.width) / Double(shown.width), Double(frameSize.height) / Double(shown.height)
        )
        let scaled = frameSize == shown ? found : found.map { $0?.scaled(x: x, y: y) }
        let places = scaled.map { $0.map { template.shape.place(of: $0) } }
        let crop = template.cropSize
        let corners = CropPath.corners(places.map { $0.map { $0(template.middle) } }, size: crop)
        let median = scaled.compactMap { $0?.width }.median
        isGood = zip(scaled, corners).map { [frameSize] mesh, corner in
            guard let mesh else { return false }
            let area = PixelArea(x: corner.x, y: corner.y, width: crop.width, height: crop.height)
            return abs(mesh.yaw) <= Self.yaw && abs(mesh.width / median - 1) <= Self.size
                && area.fits(width: frameSize.width, height: frameSize.height)
        }
        (meshes, self.places, self.corners, width) = (scaled, places, corners, median)
    }

    /// The size of the clip's frames: that of the pack's where they may be the same recording, else even numbers.
    private static func size(_ shown: PixelSize, scale: Double, avatar: Avatar) -> (PixelSize, Double) {
        let own = PixelSize(width: avatar.manifest.width, height: avatar.manifest.height)
        let ownScale = Double(own.width) / Double(shown.width)
        let isAlike = abs(Double(own.height) / Double(shown.height) / ownScale - 1) < 0.01
        if isAlike, abs(ownScale / scale - 1) < 0.04 { return (own, ownScale) }
        // A few per cent are not worth another resampling.
        if abs(scale - 1) < 0.03 { return (shown, 1) }
        let bounded = min(4, max(0.05, scale))
        func even(_ side: Int) -> Int { max(16, 2 * Int((Double(side) * bounded / 2).rounded())) }
        return (PixelSize(width: even(shown.width), height: even(shown.height)), bounded)
    }
}
