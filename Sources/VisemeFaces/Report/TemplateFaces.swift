import Foundation
import Viseme

/// The faces of a pack's template: what a clip is compared with, and what can be redrawn.
struct TemplateFaces: Sendable {
    /// One template frame.
    struct Face: Sendable {
        var index: Int
        var mesh: FaceMesh
        var place: HeadPlace
        /// The crop with a margin, and where its upper left corner lies in the frame.
        var picture: Image
        var corner: SIMD2<Int>
    }

    /// Frames at most that are looked at; of longer templates evenly chosen ones.
    private static let most = 250
    /// Pixels around a crop, for moves of the head.
    private static let margin = 24

    let faces: [Face]
    let shape: HeadShape
    /// Width of the face in pixels, the median.
    let width: Double
    /// The crop's middle as a point of the head's shape, and its size in pixels.
    let middle: SIMD2<Double>
    let cropSize: PixelSize
    /// Template frames that were looked at.
    let lookedAt: Int

    /// Finds the faces.
    ///
    /// - Throws: `.badData` when half of the frames have none.
    init(
        _ avatar: Avatar, models: FaceModels, media: any MediaBackend, progress: (Int, Int) -> Void = { _, _ in }
    ) async throws {
        let count = avatar.manifest.frames
        let step = (count + Self.most - 1) / Self.most
        let reader = try await media.template(at: try avatar.member(avatar.manifest.template), memory: 1 << 26)
        guard reader.frameCount == count else {
            throw VisemeError(
                .badData, "The template holds \(reader.frameCount) frames, avatar.json says \(count).",
                hint: "viseme avatar info shows what is wrong with the pack.")
        }
        var tracker = FaceTracker(models)
        var found: [(index: Int, mesh: FaceMesh, picture: Image, corner: SIMD2<Int>)] = []
        var looked = 0
        for index in stride(from: 0, to: count, by: step) {
            try Task.checkCancellation()
            let image = try await reader.frame(at: index).image()
            if let mesh = try await tracker.next(image) {
                let square = avatar.square(ofTemplateFrame: index)
                let wide = PixelArea(
                    x: square.x - Self.margin, y: square.y - Self.margin, width: square.width + 2 * Self.margin,
                    height: square.height + 2 * Self.margin)
                found.append((index, mesh, image.repeatingEdges(of: wide), SIMD2(wide.x, wide.y)))
            }
            looked += 1
            progress(looked, (count + step - 1) / step)
        }
        guard found.count * 2 >= looked, !found.isEmpty else {
            throw VisemeError(
                .badData,
                "A face was found in \(found.count) of \(looked) template frames of '\(avatar.manifest.name)'.",
                hint: "Faces that are not looking at the camera, and animals, cannot be measured.")
        }
        let shape = HeadShape(of: found.map(\.mesh))
        faces = found.map {
            Face(
                index: $0.index, mesh: $0.mesh, place: shape.place(of: $0.mesh), picture: $0.picture, corner: $0.corner)
        }
        self.shape = shape
        width = found.map(\.mesh.width).median
        let middles = faces.map { face in
            let square = avatar.square(ofTemplateFrame: face.index)
            return face.place.inverse(
                SIMD2(
                    Double(square.x) + Double(square.width) / 2, Double(square.y) + Double(square.height) / 2))
        }
        middle = SIMD2(middles.map(\.x).median, middles.map(\.y).median)
        let sizes = avatar.squares.map { Double($0.width) }
        let side = Int(sizes.median.rounded())
        cropSize = avatar.mask?.size ?? PixelSize(square: side)
        lookedAt = looked
    }

    /// The frame to redraw for a head: among those in the most alike pose the one with the most closed mouth.
    func reference(for mesh: FaceMesh, at place: HeadPlace, alike: Int = 24) -> Face {
        let pose = mesh.pose
        let ordered = faces.map { face in
            let apart = face.mesh.pose - pose
            return (far: (apart * apart).sum().squareRoot() + abs(log(face.place.size(against: place))), face: face)
        }.sorted { $0.far < $1.far }
        let chosen = ordered.prefix(alike).min { $0.face.mesh.opening < $1.face.mesh.opening }
        // There is at least one face.
        return chosen?.face ?? faces[0]
    }
}

extension TemplateFaces.Face {
    /// The picture of this face, moved onto another head: what lies in a crop of that head's frame.
    ///
    /// - Parameters:
    ///   - head: Where the other head is.
    ///   - corner: The crop's upper left corner in that frame.
    func moved(onto head: HeadPlace, corner target: SIMD2<Int>, size: PixelSize) -> Image {
        let back = place.onto(head).inverse
        let start = back(SIMD2(Double(target.x), Double(target.y)))
        let map = AffineMap(
            a: back.a, b: back.b, u: start.x - Double(corner.x), c: back.c, d: back.d, v: start.y - Double(corner.y))
        return Sampling.warp(picture, size: size, by: map, outside: .repeated)
    }
}

extension Image {
    /// A part that may reach outside, where the edge is repeated.
    func repeatingEdges(of area: PixelArea) -> Image {
        var part = Image(width: area.width, height: area.height)
        for y in 0..<area.height {
            let row = min(height - 1, max(0, area.y + y)) * width
            for x in 0..<area.width {
                let from = (row + min(width - 1, max(0, area.x + x))) * 3
                let to = (y * area.width + x) * 3
                for c in 0..<3 { part.bytes[to + c] = bytes[from + c] }
            }
        }
        return part
    }
}
