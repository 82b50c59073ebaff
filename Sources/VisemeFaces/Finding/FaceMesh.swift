/// The landmarks of a face: 468 points of MediaPipe's mesh.
public struct FaceMesh: Sendable, Equatable {
    /// Landmarks.
    public static let count = 468

    /// (468, 3) row-major: x and y in pixels, and a depth in pixels of the same scale that falls towards the camera.
    public let values: [Float]
    /// How sure the model is that there is a face, 0…1.
    public let presence: Double

    /// Makes a mesh of its values: 3 · 468 of them.
    public init(values: [Float], presence: Double) {
        precondition(values.count == 3 * Self.count, "a mesh has 468 points")
        (self.values, self.presence) = (values, presence)
    }

    /// The mean of several.
    init(meanOf meshes: [FaceMesh]) {
        let count = Float(meshes.count)
        let sums = meshes.dropFirst().reduce(into: meshes[0].values) { sums, mesh in
            for i in sums.indices { sums[i] += mesh.values[i] }
        }
        self.init(
            values: sums.map { $0 / count }, presence: meshes.map(\.presence).reduce(0, +) / Double(meshes.count))
    }

    /// Pixels of a landmark.
    public subscript(index: Int) -> SIMD2<Double> {
        SIMD2(Double(values[3 * index]), Double(values[3 * index + 1]))
    }

    /// A landmark with its depth.
    func deep(_ index: Int) -> SIMD3<Double> {
        SIMD3(Double(values[3 * index]), Double(values[3 * index + 1]), Double(values[3 * index + 2]))
    }

    /// The same face in a picture of another size. Pixel middles stay pixel middles.
    func scaled(x: Double, y: Double) -> FaceMesh {
        var scaled = values
        for i in 0..<Self.count {
            scaled[3 * i] = Float((Double(values[3 * i]) + 0.5) * x - 0.5)
            scaled[3 * i + 1] = Float((Double(values[3 * i + 1]) + 0.5) * y - 0.5)
            scaled[3 * i + 2] = Float(Double(values[3 * i + 2]) * x)
        }
        return FaceMesh(values: scaled, presence: presence)
    }
}

/// Landmarks with a name, and sets of them; left and right as the picture shows them.
enum FacePoint {
    static let leftEye = 33, rightEye = 263, nose = 4
    static let leftTemple = 127, rightTemple = 356, leftCheek = 234, rightCheek = 454
    static let upperLip = 13, lowerLip = 14, leftCorner = 78, rightCorner = 308

    /// Points that neither jaw nor lids nor brows move: forehead, temples, corners of the eyes, bridge of the nose.
    static let stable = [
        10, 338, 297, 332, 284, 251, 389, 356, 127, 162, 21, 54, 103, 67, 109, 151, 9, 8, 168, 6, 197, 195, 5, 4, 33,
        133, 362, 263, 130, 359, 243, 463,
    ]
    /// The lips' outer edge.
    static let lips = [
        61, 291, 0, 17, 37, 267, 39, 269, 40, 270, 185, 409, 84, 314, 181, 405, 91, 321, 146, 375,
    ]
    /// The lips' inner edge.
    static let innerLips = [
        78, 308, 13, 14, 82, 312, 81, 311, 80, 310, 191, 415, 87, 317, 178, 402, 88, 318, 95, 324,
    ]
}
