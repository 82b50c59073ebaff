import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// The Swift pipeline against the Python reference on the default avatar. `Tests/Fixtures/parity.py --golden` makes the
/// golden files with PyTorch, librosa and OpenCV; `make parity` compares live.
@Suite(
    "Parity with the Python reference", .serialized,
    .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct ParityTests {
    private struct Facts: Decodable {
        var audio: String
        var models: [String: String]
        var first: Int
        var count: Int
        var frames: Int
        var rows: Int
        var squares: [[Int]]
    }

    private static let golden = TinyPack.golden.appending(path: "parity")
    private let media = FFmpeg()

    /// The golden facts, after the pack was found to be the one that they were made with.
    private func facts() throws -> (Facts, Avatar) {
        let facts = try JSONDecoder().decode(
            Facts.self, from: Data(contentsOf: Self.golden.appending(path: "parity.json")))
        let avatar = try Avatar(contentsOf: Repository.inheritedRobin)
        for model in avatar.manifest.models {
            try #require(
                facts.models[model.file] == model.sha256,
                "the golden files belong to another \(model.file): run make golden")
        }
        return (facts, avatar)
    }

    /// What a render uses.
    private func backend() throws -> TranslatingBackend {
        let library: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return TranslatingBackend(splitting: try ONNXBackend(libraryPath: library))
    }

    /// PyTorch's and ONNX Runtime's convolutions sum in another order, with batch norms folded here and not there: 9e−6 was
    /// reached, three times as much is allowed.
    @Test("Feature rows are PyTorch's within 2.7e−5")
    func rows() async throws {
        let (facts, avatar) = try facts()
        let encoder = try await backend().audioEncoder(avatar.model(.audioEncoder), threads: 1)
        let features = try await SpeechFeatures(
            of: media.speech(at: Repository.root.appending(path: facts.audio)), family: avatar.family,
            encoder: encoder)
        let golden = try Data(contentsOf: Self.golden.appending(path: "rows.f32")).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
        #expect(features.rows.count == facts.rows * 512)
        try #require(features.rows.count == golden.count)
        #expect(zip(features.rows, golden).reduce(0) { max($0, abs($1.0 - $1.1)) } <= 2.7e-5)
    }

    /// 59.9 dB was reached by every frame.
    @Test("Every one of 100 frames has ≥ 57 dB inside the square")
    func frames() async throws {
        let (facts, avatar) = try facts()
        let engine = try await Engine(avatar, backend: backend(), media: media, judge: WeightJudge())
        let squares = try await media.template(at: Self.golden.appending(path: "squares.mkv"), memory: 50_000_000)
        #expect(squares.frameCount == facts.count && facts.count == 100)
        let speech = try await media.speech(at: Repository.root.appending(path: facts.audio))
        var count = 0
        for try await frame in engine.frames(for: speech, range: facts.first..<facts.first + facts.count) {
            #expect(frame.square.corners == facts.squares[count])
            let image = try frame.image
            let expected = try await squares.frame(at: count).image()
            var sum = 0
            for y in 0..<frame.square.height {
                let ours = ((frame.square.y + y) * image.width + frame.square.x) * 3
                let theirs = y * expected.width * 3
                for i in 0..<frame.square.width * 3 {
                    let d = Int(image.bytes[ours + i]) - Int(expected.bytes[theirs + i])
                    sum += d * d
                }
            }
            let mean = Double(sum) / Double(frame.square.size.count * 3)
            let level = 10 * log10(255 * 255 / max(mean, 1e-9))
            #expect(level >= 57, "frame \(frame.index)")
            count += 1
        }
        #expect(count == facts.count)
    }
}
