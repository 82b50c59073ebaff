import Foundation

/// What the landmarks tell of a mouth. Lengths are shares of the face's width, temple to temple.
extension FaceMesh {
    /// Width of the face in pixels, turned to the side or not.
    public var width: Double { distance(FacePoint.leftTemple, FacePoint.rightTemple) }

    /// Distance of the lips' inner edges.
    public var opening: Double {
        let across = self[FacePoint.upperLip] - self[FacePoint.lowerLip]
        return hypot(across.x, across.y) / width
    }

    /// Distance of the corners of the mouth.
    public var mouthWidth: Double { distance(FacePoint.leftCorner, FacePoint.rightCorner) / width }

    /// Turn to the side in degrees, as the mesh's depth tells it. About a fifth too small beyond 20°.
    public var yaw: Double {
        let across = deep(FacePoint.rightCheek) - deep(FacePoint.leftCheek)
        return atan2(across.z, across.x) * 180 / .pi
    }

    /// Where the nose is between the temples: what turns and nods move.
    var pose: SIMD2<Double> {
        (self[FacePoint.nose] - (self[FacePoint.leftTemple] + self[FacePoint.rightTemple]) / 2) / width
    }

    private func distance(_ one: Int, _ other: Int) -> Double {
        let across = deep(one) - deep(other)
        return (across * across).sum().squareRoot()
    }
}

/// Where a head is: point p of its shape lies at `gain · p + place` pixels; all are complex numbers.
struct HeadPlace: Sendable, Equatable {
    var gain: SIMD2<Double>
    var place: SIMD2<Double>

    /// Pixels of a point of the shape.
    func callAsFunction(_ point: SIMD2<Double>) -> SIMD2<Double> { multiplied(gain, point) + place }

    /// The point of the shape that lies at some pixels.
    func inverse(_ pixels: SIMD2<Double>) -> SIMD2<Double> { divided(pixels - place, gain) }

    /// How many times as large as another one.
    func size(against other: HeadPlace) -> Double {
        let ratio = divided(gain, other.gain)
        return hypot(ratio.x, ratio.y)
    }

    /// The map that brings a picture of this head onto another one's place.
    func onto(_ other: HeadPlace) -> AffineMap {
        let a = divided(other.gain, gain)
        let b = other.place - multiplied(a, place)
        return AffineMap(a: a.x, b: -a.y, u: b.x, c: a.y, d: a.x, v: b.y)
    }
}

/// The shape of a head's points that nothing moves, fitted to the landmarks of every frame: thirty points jitter less than one.
struct HeadShape: Sendable {
    /// In face widths, around their middle.
    private let stable: [SIMD2<Double>]

    /// The median of some faces, upright and of width 1.
    ///
    /// - Parameter meshes: At least one.
    init(of meshes: [FaceMesh]) {
        // A part of a long clip tells the shape as well as all of it.
        let step = max(1, meshes.count / 500)
        let turned = stride(from: 0, to: meshes.count, by: step).map { index -> [SIMD2<Double>] in
            let mesh = meshes[index]
            let points = FacePoint.stable.map { mesh[$0] }
            let middle = points.reduce(SIMD2(0, 0), +) / Double(points.count)
            let eyes = mesh[FacePoint.rightEye] - mesh[FacePoint.leftEye]
            let scale = eyes / hypot(eyes.x, eyes.y) * mesh.width
            return points.map { divided($0 - middle, scale) }
        }
        let median = FacePoint.stable.indices.map { k in
            SIMD2(turned.map { $0[k].x }.median, turned.map { $0[k].y }.median)
        }
        let middle = median.reduce(SIMD2(0, 0), +) / Double(median.count)
        stable = median.map { $0 - middle }
    }

    /// The similarity that fits a frame's landmarks best.
    func place(of mesh: FaceMesh) -> HeadPlace {
        let points = FacePoint.stable.map { mesh[$0] }
        let middle = points.reduce(SIMD2(0, 0), +) / Double(points.count)
        var (sum, weight) = (SIMD2<Double>(0, 0), 0.0)
        for (point, model) in zip(points, stable) {
            sum += multiplied(point - middle, SIMD2(model.x, -model.y))
            weight += (model * model).sum()
        }
        return HeadPlace(gain: sum / weight, place: middle)
    }
}

func multiplied(_ a: SIMD2<Double>, _ b: SIMD2<Double>) -> SIMD2<Double> {
    SIMD2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)
}

func divided(_ a: SIMD2<Double>, _ b: SIMD2<Double>) -> SIMD2<Double> {
    let length = (b * b).sum()
    return SIMD2(a.x * b.x + a.y * b.y, a.y * b.x - a.x * b.y) / length
}
