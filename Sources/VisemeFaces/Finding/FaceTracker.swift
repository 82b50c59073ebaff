import Foundation
public import Viseme

/// Follows the largest face from frame to frame; where it is lost it is searched for anew.
public struct FaceTracker: Sendable {
    /// A face that moved by this share of its square since the last frame is looked at again, in the right place.
    private static let jump = 0.1

    private let models: FaceModels
    /// All that it remembers.
    private var square: FaceSquare?

    /// A tracker that has seen nothing yet.
    public init(_ models: FaceModels) { self.models = models }

    /// The face of the next frame; nil where there is none.
    public mutating func next(_ image: Image) async throws -> FaceMesh? {
        var candidate = square
        square = nil
        for attempt in 0..<2 {
            var isSearched = attempt == 1
            if candidate == nil {
                candidate = try await models.faces(in: image).first
                isSearched = true
            }
            guard let place = candidate else { return nil }
            var mesh = try await models.mesh(in: image, place)
            var around = FaceSquare(around: mesh)
            if isSearched || hypot(around.x - place.x, around.y - place.y) > Self.jump * place.edge {
                mesh = try await models.mesh(in: image, around)
                around = FaceSquare(around: mesh)
            }
            if mesh.presence >= FaceModels.leastScore {
                square = around
                return mesh
            }
            if isSearched { return nil }
            candidate = nil
        }
        return nil
    }
}
