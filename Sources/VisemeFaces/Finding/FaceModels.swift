import Foundation
public import Viseme

/// Finds faces and their 468 landmarks: BlazeFace and the face mesh of MediaPipe, as ONNX files.
///
/// The arithmetic is that of the training's `viseme_train.avatar.face`: on the same pictures both find the same landmarks within
/// hundredths of a pixel.
public struct FaceModels: Sendable {
    /// Edges of the models' pictures.
    private static let detectorSize = 128, landmarkSize = 192
    /// A detection or a mesh below this is none.
    static let leastScore = 0.5
    /// Edge of the parts that a large picture is searched in when the whole shows no face: the detector sees faces from a 17th
    /// of its picture on.
    private static let tile = 480
    /// (cells a side, anchors a cell) of the detector's two grids.
    private static let grids = [(16, 2), (8, 6)]

    private let detector: any LoadedGraph
    private let landmarks: any LoadedGraph
    private let anchors: [SIMD2<Double>]

    /// Loads both models.
    ///
    /// - Parameters:
    ///   - files: Where they are.
    ///   - runner: What runs them.
    ///   - threads: Threads of one run.
    /// - Throws: `.unavailable` naming the places that were searched, `.badData` for other files under these names.
    public init(_ files: FaceModelFiles, runner: any GraphLoader, threads: Int = 1) async throws {
        detector = try await runner.graph(
            files.detector, name: FaceModelFiles.detectorName, threads: threads, optimised: true)
        landmarks = try await runner.graph(
            files.landmarks, name: FaceModelFiles.landmarksName, threads: threads, optimised: true)
        anchors = Self.grids.flatMap { cells, count in
            (0..<cells * cells).flatMap { cell in
                [SIMD2<Double>](
                    repeating: SIMD2(Double(cell % cells) + 0.5, Double(cell / cells) + 0.5) / Double(cells),
                    count: count)
            }
        }
    }

    /// The squares of all faces, the largest first. Small ones are searched for in parts of the picture when the whole shows none.
    func faces(in image: Image) async throws -> [FaceSquare] {
        var found = try await detect(image)
        if found.isEmpty, max(image.width, image.height) > Self.tile {
            for top in Self.starts(image.height) {
                for left in Self.starts(image.width) {
                    let part = image.image(
                        of: PixelArea(
                            x: left, y: top, width: min(Self.tile, image.width - left),
                            height: min(Self.tile, image.height - top)))
                    for var square in try await detect(part) {
                        square.x += Double(left)
                        square.y += Double(top)
                        found.append(square)
                    }
                }
            }
        }
        found.sort { $0.edge > $1.edge }
        var apart: [FaceSquare] = []
        for square in found  // tiles overlap
        where apart.allSatisfy({ hypot(square.x - $0.x, square.y - $0.y) > 0.4 * $0.edge }) { apart.append(square) }
        return apart
    }

    /// Where the parts of a side begin: they overlap by a quarter or more.
    private static func starts(_ length: Int) -> [Int] {
        let step = tile * 3 / 4
        let count = length <= tile ? 1 : (length - tile + step - 1) / step + 1
        guard count > 1 else { return [0] }
        return (0..<count).map { Int((Double($0 * (length - tile)) / Double(count - 1)).rounded(.toNearestOrEven)) }
    }

    private func detect(_ image: Image) async throws -> [FaceSquare] {
        let size = Self.detectorSize
        let scale = Double(size) / Double(max(image.width, image.height))
        func side(_ length: Int) -> Int { max(1, Int((Double(length) * scale).rounded(.toNearestOrEven))) }
        let small = Sampling.shrink(image, to: PixelSize(width: side(image.width), height: side(image.height)))
        let (left, top) = ((size - small.width) / 2, (size - small.height) / 2)
        var planes = [Float](repeating: -1, count: 3 * size * size)
        for y in 0..<small.height {
            for x in 0..<small.width {
                for channel in 0..<3 {
                    // R G B planes of B G R pixels.
                    planes[((2 - channel) * size + y + top) * size + x + left] =
                        Float(small.bytes[(y * small.width + x) * 3 + channel]) / 127.5 - 1
                }
            }
        }
        let made = try await detector.run(
            [Tensor("picture", [1, 3, size, size], planes)],
            outputs: [TensorSlot("boxes", [1, anchors.count, 16]), TensorSlot("scores", [1, anchors.count, 1])])
        let (boxes, scores) = (made[0].floats ?? [], made[1].floats ?? [])
        let candidates = anchors.indices.compactMap { index -> Candidate? in
            let sure = sigmoid(scores[index])
            guard sure > Self.leastScore else { return nil }
            return Candidate(boxes[index * 16..<index * 16 + 16], anchor: anchors[index], size: Double(size), sure)
        }
        return Candidate.merged(candidates).map { found in
            let nose = (found[3] * Double(size) - SIMD2(Double(left), Double(top))) / scale
            let eyes = found[2] - found[1]
            let extent = found.size * Double(size)
            return FaceSquare(
                x: nose.x, y: nose.y, edge: FaceSquare.margin * max(extent.x, extent.y) / scale,
                angle: atan2(eyes.y, eyes.x))
        }
    }

    /// The landmarks of the face in each square.
    func meshes(in image: Image, _ squares: [FaceSquare]) async throws -> [FaceMesh] {
        let size = Self.landmarkSize
        // A square much larger than the network's picture is shrunk by means first: bilinear samples of it would flicker.
        let smallest = squares.map(\.edge).min() ?? 0
        let shrink = max(1, Int(min(1e6, smallest / Double(size) / 1.25)))
        let image =
            shrink > 1
            ? Sampling.shrink(image, to: PixelSize(width: image.width / shrink, height: image.height / shrink)) : image
        var planes = [Float](repeating: 0, count: squares.count * 3 * size * size)
        var back: [AffineMap] = []
        for (number, square) in squares.enumerated() {
            let gain = Double(size) / square.edge * Double(shrink)
            let (c, k) = (cos(square.angle) * gain, sin(square.angle) * gain)
            // Pixel middles: the shrunken picture's are at (x + 0.5) / shrink − 0.5.
            let middle = (SIMD2(square.x, square.y) + 0.5) / Double(shrink) - 0.5
            let half = Double(size) / 2
            let into = AffineMap(
                a: c, b: k, u: half - c * middle.x - k * middle.y, c: -k, d: c, v: half + k * middle.x - c * middle.y)
            let out = into.inverse
            let part = Sampling.warp(image, size: PixelSize(square: size), by: out, outside: .black)
            let plane = size * size
            for pixel in 0..<plane {
                for channel in 0..<3 {
                    planes[(number * 3 + 2 - channel) * plane + pixel] = Float(part.bytes[pixel * 3 + channel]) / 255
                }
            }
            back.append(out)
        }
        let made = try await landmarks.run(
            [Tensor("picture", [squares.count, 3, size, size], planes)],
            outputs: [
                TensorSlot("landmarks", [squares.count, 3 * FaceMesh.count]),
                TensorSlot("presence", [squares.count, 1]),
            ])
        let (points, presence) = (made[0].floats ?? [], made[1].floats ?? [])
        return squares.indices.map { number in
            var values = Array(points[number * 3 * FaceMesh.count..<(number + 1) * 3 * FaceMesh.count])
            for i in 0..<FaceMesh.count {
                let place =
                    (back[number](SIMD2(Double(values[3 * i]), Double(values[3 * i + 1]))) + 0.5)
                    * Double(shrink) - 0.5
                (values[3 * i], values[3 * i + 1]) = (Float(place.x), Float(place.y))
                values[3 * i + 2] = Float(Double(values[3 * i + 2]) * squares[number].edge / Double(size))
            }
            return FaceMesh(values: values, presence: sigmoid(presence[number]))
        }
    }

    /// The mean of the landmarks in a square and its moved copies.
    func mesh(in image: Image, _ square: FaceSquare) async throws -> FaceMesh {
        FaceMesh(meanOf: try await meshes(in: image, square.varied))
    }
}

private func sigmoid(_ x: Float) -> Double { 1 / (1 + exp(-Double(min(80, max(-80, x))))) }

/// What the detector says at one anchor: eight pairs 0…1; the first is the middle, the second the size, the others are points.
private struct Candidate {
    let pairs: [SIMD2<Double>]
    let sure: Double

    var size: SIMD2<Double> { pairs[1] }

    /// Middle, and eyes, nose, mouth and ears: [0] is the middle, [1] and [2] are the eyes, [3] is the nose.
    subscript(index: Int) -> SIMD2<Double> { index == 0 ? pairs[0] : pairs[index + 1] }

    /// All but the size are relative to the anchor.
    init(_ values: ArraySlice<Float>, anchor: SIMD2<Double>, size: Double, _ sure: Double) {
        let start = values.startIndex
        pairs = (0..<8).map { k in
            let pair = SIMD2(Double(values[start + 2 * k]), Double(values[start + 2 * k + 1])) / size
            return k == 1 ? pair : pair + anchor
        }
        self.sure = sure
    }

    private init(_ pairs: [SIMD2<Double>], _ sure: Double) { (self.pairs, self.sure) = (pairs, sure) }

    /// One candidate for each face: the mean of those that overlap, weighted by how sure they are.
    static func merged(_ candidates: [Candidate]) -> [Candidate] {
        var left = candidates.sorted { $0.sure > $1.sure }
        var found: [Candidate] = []
        while let best = left.first {
            let same = left.filter { best.overlap($0) > 0.3 }
            // A box without an area overlaps nothing, itself included.
            guard !same.isEmpty else {
                left.removeFirst()
                continue
            }
            let weight = same.map(\.sure).reduce(0, +)
            let mean = (0..<8).map { k in same.reduce(SIMD2(0, 0)) { $0 + $1.pairs[k] * $1.sure } / weight }
            found.append(Candidate(mean, best.sure))
            left.removeAll { best.overlap($0) > 0.3 }
        }
        return found
    }

    /// Intersection over union.
    private func overlap(_ other: Candidate) -> Double {
        let low = pointwiseMax(pairs[0] - size / 2, other.pairs[0] - other.size / 2)
        let high = pointwiseMin(pairs[0] + size / 2, other.pairs[0] + other.size / 2)
        let side = pointwiseMax(high - low, SIMD2(0, 0))
        let both = side.x * side.y
        return both / max(size.x * size.y + other.size.x * other.size.y - both, 1e-9)
    }
}
