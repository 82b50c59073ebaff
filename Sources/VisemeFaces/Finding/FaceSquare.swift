import Foundation
import Viseme

/// A turned square around a face: middle and edge in pixels, angle in radians.
struct FaceSquare: Sendable, Equatable {
    var x: Double
    var y: Double
    var edge: Double
    var angle: Double

    /// Slightly moved copies: their mean jitters a third as much. Shift and size in shares of the edge, radians.
    static let variations: [(right: Double, down: Double, size: Double, angle: Double)] = [
        (0.04, 0.04, 1.06, -0.06), (0.04, -0.04, 0.94, 0.06), (-0.04, 0.04, 0.94, -0.06), (-0.04, -0.04, 1.06, 0.06),
    ]
    /// The edge in shares of the larger side of the landmarks' box.
    static let margin = 1.5

    init(x: Double, y: Double, edge: Double, angle: Double) {
        (self.x, self.y, self.edge, self.angle) = (x, y, edge, angle)
    }

    /// The upright square of a face, for the next frame.
    init(around mesh: FaceMesh) {
        let across = mesh[FacePoint.rightEye] - mesh[FacePoint.leftEye]
        angle = atan2(across.y, across.x)
        let (c, s) = (cos(angle), sin(angle))
        var (low, high) = (
            SIMD2(Double.infinity, Double.infinity), SIMD2(-Double.infinity, -Double.infinity)
        )
        for index in 0..<FaceMesh.count {
            let point = mesh[index]
            let turned = SIMD2(c * point.x + s * point.y, -s * point.x + c * point.y)
            low = pointwiseMin(low, turned)
            high = pointwiseMax(high, turned)
        }
        let middle = (low + high) / 2
        (x, y) = (c * middle.x - s * middle.y, s * middle.x + c * middle.y)
        edge = Self.margin * max(high.x - low.x, high.y - low.y)
    }

    /// The square, and its moved copies.
    var varied: [FaceSquare] {
        Self.variations.map {
            FaceSquare(x: x + $0.right * edge, y: y + $0.down * edge, edge: edge * $0.size, angle: angle + $0.angle)
        }
    }
}
