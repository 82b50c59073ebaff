import Foundation
import Testing
import Viseme
import VisemeFFmpeg
import VisemeONNX
import VisemeTestSupport

@testable import VisemeFaces

/// The golden pictures and what the training's face finder says of them: Tests/Fixtures/face_golden.py.
enum GoldenFaces {
    static let folder = Bundle.module.bundleURL.appending(path: "Golden/faces")
    static let count = 6

    static func picture(_ number: Int) async throws -> Image {
        let url = folder.appending(path: String(format: "%06d.png", number))
        return try #require(try await FFmpeg().clip(at: url).next()).image
    }

    static func floats(_ name: String) throws -> [Float] {
        try Data(contentsOf: folder.appending(path: name)).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
    }

    /// The landmarks of a picture; nil where there is no face.
    static func mesh(_ number: Int) throws -> FaceMesh? {
        let size = 3 * FaceMesh.count
        let values = Array(try floats("landmarks.bin")[number * size..<(number + 1) * size])
        let presence = try floats("presence.bin")[number]
        return values[0].isNaN ? nil : FaceMesh(values: values, presence: Double(presence))
    }

    struct Figures: Decodable {
        var opening, width, face, yaw, texture, edge: [Double]
        var psnr, ssim: Double
    }

    static func figures() throws -> Figures {
        try JSONDecoder().decode(Figures.self, from: Data(contentsOf: folder.appending(path: "figures.json")))
    }
}

/// The models on ONNX Runtime.
enum Models {
    static func runner() throws -> ONNXBackend {
        let path: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try ONNXBackend(libraryPath: path)
    }

    static func load() async throws -> FaceModels { try await FaceModels(FaceModelFiles(), runner: try runner()) }
}

@Suite("Faces and their landmarks")
struct FaceTests {
    @Test("the landmarks are the training's within 0.05 pixels", .enabled(if: Repository.canRunModels))
    func landmarks() async throws {
        var tracker = FaceTracker(try await Models.load())
        var worst = 0.0
        for number in 0..<GoldenFaces.count {
            let found = try await tracker.next(try await GoldenFaces.picture(number))
            let expected = try GoldenFaces.mesh(number)
            #expect((found == nil) == (expected == nil), "picture \(number)")
            guard let found, let expected else { continue }
            #expect(abs(found.presence - expected.presence) < 1e-3)
            for point in 0..<FaceMesh.count {
                let apart = found[point] - expected[point]
                worst = max(worst, (apart * apart).sum().squareRoot())
                worst = max(worst, Double(abs(found.values[3 * point + 2] - expected.values[3 * point + 2])))
            }
        }
        #expect(worst < 0.05, "the farthest landmark is \(worst) pixels away")
        #expect(worst > 0, "two implementations are never equal to the last bit: is the comparison empty?")
    }

    @Test("openings, widths and turns are the training's")
    func measures() throws {
        let figures = try GoldenFaces.figures()
        let meshes = try (0..<GoldenFaces.count).compactMap { try GoldenFaces.mesh($0) }
        #expect(meshes.count == figures.opening.count)
        for (number, mesh) in meshes.enumerated() {
            #expect(isClose(mesh.opening, figures.opening[number]))
            #expect(isClose(mesh.mouthWidth, figures.width[number]))
            #expect(isClose(mesh.width, figures.face[number]))
            #expect(isClose(mesh.yaw, figures.yaw[number]))
        }
    }

    @Test("texture, border step, PSNR and SSIM are the training's")
    func pictures() async throws {
        let figures = try GoldenFaces.figures()
        let (one, two) = (try await GoldenFaces.picture(0), try await GoldenFaces.picture(1))
        let mask = try #require(
            try await FFmpeg().clip(at: Bundle.module.bundleURL.appending(path: "Golden/mask.png")).next()
        ).image
        let region = PixelRegion(
            size: mask.size, isInside: (0..<mask.size.count).map { mask.bytes[3 * $0] > 0 })
        let grey = [GreyPicture(one), GreyPicture(two)]
        for k in 0..<2 {
            #expect(isClose(grey[k].texture(region), figures.texture[k]))
            #expect(isClose(grey[k].step(region.border), figures.edge[k]))
        }
        #expect(isClose(Decibels.psnr(region.squaredError(one, two)), figures.psnr))
        #expect(isClose(grey[1].similarity(to: grey[0], region), figures.ssim))
    }

    private func isClose(_ one: Double, _ other: Double) -> Bool { abs(one - other) <= 1e-3 * max(abs(other), 1e-3) }

    @Test("models that are missing or changed are an error that names the place")
    func models() async throws {
        try await withTemporaryFolder { folder in
            let missing = try #require(throws: VisemeError.self) { _ = try FaceModelFiles(searching: [folder]) }
            #expect(missing.code == .unavailable)
            #expect(missing.message.contains(folder.path))
            for name in FaceModelFiles.hashes.keys {
                try Data("not a model".utf8).write(to: folder.appending(path: name))
            }
            let changed = try #require(throws: VisemeError.self) { _ = try FaceModelFiles(searching: [folder]) }
            #expect(changed.code == .badData)
            #expect(changed.message.contains("SHA-256"))
        }
    }

    @Test("a still head has a still crop, whatever the noise")
    func stillCrop() {
        var random = SeededRandom(3)
        let middles: [SIMD2<Double>?] = (0..<100).map { k in
            k % 17 == 3
                ? nil
                : SIMD2(320.4, 200.6)
                    + SIMD2(
                        Double.random(in: -0.25...0.25, using: &random), Double.random(in: -0.25...0.25, using: &random)
                    )
        }
        let corners = CropPath.corners(middles, size: PixelSize(width: 64, height: 32))
        #expect(corners.count == 100)
        #expect(Set(corners.map { [$0.x, $0.y] }).count == 1)
    }

    @Test("a head that moves takes its crop along")
    func movingCrop() {
        let middles: [SIMD2<Double>?] = (0..<100).map { SIMD2(100 + Double($0), 200) }
        let corners = CropPath.corners(middles, size: PixelSize(width: 64, height: 32))
        #expect((10..<90).allSatisfy { abs(corners[$0].x - (100 + $0 - 32)) <= 1 && corners[$0].y == 184 })
    }

    @Test("pictures shrink to means, and samples between pixels are mixed")
    func sampling() {
        var image = Image(width: 4, height: 2)
        for i in 0..<8 { for c in 0..<3 { image.bytes[3 * i + c] = UInt8(10 * i) } }
        let half = Sampling.shrink(image, to: PixelSize(width: 2, height: 1))
        #expect(half.bytes == [25, 25, 25, 45, 45, 45])
        let moved = Sampling.warp(
            image, size: PixelSize(width: 2, height: 1), by: AffineMap(a: 1, b: 0, u: 0.5, c: 0, d: 1, v: 0.5),
            outside: .black)
        #expect(moved.bytes == [25, 25, 25, 35, 35, 35])
        let outside = Sampling.warp(
            image, size: PixelSize(width: 1, height: 1), by: AffineMap(a: 1, b: 0, u: -9e30, c: 0, d: 1, v: 0),
            outside: .black)
        #expect(outside.bytes == [0, 0, 0])
    }
}
