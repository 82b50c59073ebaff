import Foundation
import Testing
import Viseme
import VisemeModels
import VisemeONNX
import VisemeTestSupport

/// What backends owe the engine, on the tiny networks of the compact family.
@Suite("Contract of the backends, compact family", .serialized)
struct CompactContractTests {
    static let contenders = Contender.here

    private static let pack = Repository.root.appending(path: "Tests/VisemeCLITests/Golden/compact.avatar")

    /// With a pack's network in the contender's own format.
    private func with<T: Sendable>(
        _ role: ModelRole, of pack: URL = Self.pack, _ contender: Contender,
        _ use: @Sendable (any InferenceBackend, ModelFile) async throws -> T
    ) async throws -> T {
        try await withTemporaryFolder { folder in
            try await use(contender.backend(), contender.model(role, in: folder, of: pack))
        }
    }

    private func generator(_ contender: Contender, bytes: Int = 1_000_000) async throws -> any Generator {
        try await with(.generator, contender) { backend, model in
            try await backend.generators(
                model, count: 1, threads: 1, template: TemplateBudget(frames: 6, bytes: bytes))[0]
        }
    }

    /// As `ramp` of compact_pack.py makes them.
    private func ramp(_ count: Int, _ step: Double) -> [Float] { (0..<count).map { Float(sin(step * Double($0))) } }

    private func golden(_ name: String) throws -> [Float] {
        try FeatureDump(at: Self.pack.appending(path: name)).values
    }

    private var image: [Float] { ramp(6 * 128 * 192, 0.01).map { 0.5 + 0.5 * $0 } }
    private var audio: [Float] { ramp(32 * 96, 0.37) }

    @Test("The audio encoder gives what PyTorch gave, whatever the batch", arguments: contenders)
    func encoder(_ contender: Contender) async throws {
        let encoder = try await with(.audioEncoder, contender) { try await $0.audioEncoder($1, threads: 1) }
        let windows = ramp(3 * 640, 0.37).map { 3 * $0 }
        let rows = try await encoder.encode(windows, count: 3)
        #expect(Robin.largestDifference(rows, try golden("rows.f32")) <= 1e-5)
        for k in 0..<3 {
            let alone = try await encoder.encode(Array(windows[k * 640..<(k + 1) * 640]), count: 1)
            #expect(Robin.largestDifference(alone, Array(rows[k * 96..<(k + 1) * 96])) <= 1e-5, "window \(k)")
        }
    }

    @Test("The generator gives what PyTorch gave, and the same again", arguments: contenders)
    func mouth(_ contender: Contender) async throws {
        let generator = try await generator(contender)
        #expect(generator.imageSize == PixelSize(width: 192, height: 128))
        let first = try await generator.generate(image: image, audio: audio)
        let some = stride(from: 0, to: first.count, by: 61).map { first[$0] }
        // In parts the template tensors pass as halves.
        let tolerance: Float = contender == .inParts ? 5e-3 : 1e-4
        #expect(Robin.largestDifference(some, try golden("mouth.f32")) <= tolerance)
        #expect(try await generator.generate(image: image, audio: audio) == first)
    }

    @Test("However much of the template is kept, the picture is the same, bit for bit")
    func keeping() async throws {
        guard Repository.canRunModels else { return }
        var pictures: [[Float]] = []
        var kept: [Int] = []
        for bytes in [500, 5_000, 40_000, 1_000_000] {
            let generator = try await generator(.inParts, bytes: bytes)
            #expect(generator.keeping.reason == nil)
            let features = try await generator.prepare({ image }, kept: nil)
            kept.append(generator.keeping.bytesPerFrame * generator.keeping.frames)
            #expect(kept[kept.count - 1] <= bytes)
            pictures.append(try await generator.generate(features, audio: audio))
            let again = try await generator.prepare({ image }, kept: features.kept)
            pictures.append(try await generator.generate(again, audio: audio))
        }
        #expect(pictures.allSatisfy { $0 == pictures[0] })
        #expect(kept == kept.sorted() && kept[0] < kept[3])
    }

    @Test("The articulator gives what PyTorch gave", arguments: contenders)
    func articulation(_ contender: Contender) async throws {
        let avatar = try Avatar(contentsOf: Repository.robin)
        let golden = try #require(avatar.manifest.golden?.first { $0.role == .articulator })
        func values(_ file: String) throws -> [Float] { try FeatureDump(at: avatar.url.appending(path: file)).values }
        let articulator = try await with(.articulator, of: Repository.robin, contender) {
            try await $0.articulator($1, threads: 1)
        }
        let answer = try await articulator.articulate(values(golden.inputs[0]))
        #expect(Robin.largestDifference(answer, try values(golden.output)) <= 1e-4)
    }

    @Test("The sound moves the mouth", arguments: contenders)
    func sound(_ contender: Contender) async throws {
        let generator = try await generator(contender)
        let spoken = try await generator.generate(image: image, audio: audio)
        let still = try await generator.generate(image: image, audio: [Float](repeating: 0, count: audio.count))
        #expect(Robin.largestDifference(spoken, still) > 0.05)
    }
}
