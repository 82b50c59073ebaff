import Foundation
import Testing
import VisemeFFmpeg
import VisemeModels
import VisemeONNX
import VisemeTestSupport

@testable import Viseme

/// The pack of `Tests/Fixtures/compact_pack.py`: networks of the compact layout with a few channels.
@Suite(
    "The whole engine on a compact pack",
    .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct CompactPackTests: PackSuite {
    static let original = TinyPack.golden.appending(path: "compact.avatar")

    private func runner() throws -> ONNXBackend {
        let library: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try ONNXBackend(libraryPath: library)
    }

    private func engine() async throws -> Engine { try await engine(Self.original) }

    /// Bytes that differ from the template, outside the mask and inside.
    private func changes(_ image: Image, _ source: Image, _ square: PixelArea, _ mask: BlendMask) -> (Int, Int) {
        var (outside, inside) = (0, 0)
        for i in image.bytes.indices where image.bytes[i] != source.bytes[i] {
            let (x, y) = (i / 3 % image.width - square.x, i / 3 / image.width - square.y)
            let isInCrop = (0..<square.width).contains(x) && (0..<square.height).contains(y)
            if isInCrop, mask.levels[y * square.width + x] > 0 { inside += 1 } else { outside += 1 }
        }
        return (outside, inside)
    }

    @Test("Outside the mask every byte is the template's; inside it something is drawn")
    func outside() async throws {
        let engine = try await engine()
        let mask = try #require(engine.avatar.mask)
        let template = try await FFmpeg().template(
            at: Self.original.appending(path: "frames/%06d.jpg"), memory: 1 << 30)
        let result = try await frames(engine, tone(32000))
        #expect(result.count == 50)
        for frame in result {
            let source = try await template.frame(at: engine.avatar.templateIndex(ofFrame: frame.index)).image()
            let (outside, inside) = changes(try frame.image, source, frame.square, mask)
            #expect(outside == 0 && inside > 1000, "frame \(frame.index)")
            #expect(frame.square.size == mask.size)
        }
    }

    @Test("The generator is cut where the audio enters, and template frames are encoded once")
    func keeps() async throws {
        let engine = try await engine()
        #expect(engine.keeping.reason == nil && engine.keeping.frames == 6 && engine.keeping.tensors.count == 4)
        let result = try await frames(engine, tone(32000))
        #expect(result.count { $0.origin == .keptFeatures } > 30)
    }

    @Test("The mouth follows the sound, and silence is drawn once a template frame")
    func hears() async throws {
        let engine = try await engine()
        let silent = try await frames(engine, [Float](repeating: 0, count: 64000))
        let loud = try await frames(engine, tone(64000))
        #expect(try zip(silent, loud).count { try $0.0.image == $0.1.image } < 5)
        #expect(silent.contains { $0.origin == .silence })
        // 32 rows of silence: the same mouth wherever the template is the same.
        #expect(try silent[42].image == silent[52].image)
    }

    @Test("However the samples come, the bytes are the same", arguments: [1, 333, 5000])
    func chunks(size: Int) async throws {
        let engine = try await engine()
        let whole = try await frames(engine, tone(12000), chunk: 12000)
        #expect(try await frames(engine, tone(12000), chunk: size).map { try $0.image } == whole.map { try $0.image })
    }

    @Test("A range alone equals that range of the whole")
    func range() async throws {
        let whole = try await frames(engine(), tone(64000))
        let part = try await frames(engine(), tone(64000), range: 51..<64)
        #expect(part.map(\.index) == Array(51..<64))
        #expect(try part.map { try $0.image } == whole[51..<64].map { try $0.image })
    }

    @Test("Live frames are those of an offline render, byte for byte", arguments: [7, 640, 4001])
    func live(size: Int) async throws {
        let engine = try await engine()
        let samples = tone(12000)
        let offline = try await frames(engine, samples)
        let live = try await liveFrames(engine, samples, chunk: size)
        #expect(try live == offline.map { try $0.image } && live.count == 19)
    }

    @Test("Features are those of the family")
    func features() async throws {
        let avatar = try Avatar(contentsOf: Self.original)
        let encoder = try await runner().audioEncoder(avatar.model(.audioEncoder), threads: 1)
        let features = try await SpeechFeatures(of: Samples(tone(6400)), family: .compact, encoder: encoder)
        #expect(features.mel.count == 80 * 41 && features.melWindowCount == 10)
        #expect(features.rows.count == 10 * 96)
    }

    @Test("Doctor knows the family: all but the picture of untrained networks is right")
    func doctor() async throws {
        let report = await Doctor(
            backend: TranslatingBackend(splitting: try runner()), runner: try runner(), media: FFmpeg()
        ).examine(packAt: Self.original)
        #expect(report.guilty == .paste, "\(report.findings.map(\.message))")
        #expect(report.findings.contains { $0.stage == .identity && $0.outcome == .good })
        #expect(report.findings.contains { $0.stage == .crop && $0.message.contains("mask") })
    }

    @Test("A network with its first values is judged never trained", arguments: ["generator", "encoder"])
    func fresh(name: String) throws {
        let model = try OpenedModel(at: TinyPack.golden.appending(path: "fresh-compact-\(name).onnx"))
        #expect(model.verdict.kind == .neverTrained, "\(model.verdict)")
        #expect(model.problem == nil && model.family?.contract == .compact)
        let report = ModelReport(model)
        #expect(report.family?.contains("compact") == true && report.inputs.count == (name == "generator" ? 2 : 1))
    }

    /// The pack with its models as Core ML packages.
    private func packages(in folder: URL) async throws -> URL {
        let pack = folder.appending(path: "packages.avatar")
        try FileManager.default.copyItem(at: Self.original, to: pack)
        var manifest = try Avatar(contentsOf: pack).manifest
        let converter = ModelConverter(tool: "test", runner: try runner())
        for index in manifest.models.indices {
            let source = pack.appending(path: manifest.models[index].file)
            let target = source.deletingPathExtension().appendingPathExtension("mlpackage")
            _ = try await converter.convert(source, to: target)
            try FileManager.default.removeItem(at: source)
            manifest.models[index].file = target.lastPathComponent
            manifest.models[index].sha256 = try ModelFile.sha256(at: target)
        }
        try manifest.update(in: pack)
        return pack
    }

    @Test("A pack of Core ML packages is judged, examined, cut and drawn like the pack that it was made from")
    func coreML() async throws {
        try await withTemporaryFolder { folder in
            let pack = try await packages(in: folder)
            let report = await Doctor(
                backend: TranslatingBackend(splitting: try runner()), runner: try runner(), media: FFmpeg()
            ).examine(packAt: pack)
            #expect(report.guilty == .paste, "\(report.findings.map(\.message))")
            let translated = try await engine(pack)
            #expect(translated.keeping.reason == nil && translated.keeping.tensors.count == 4)
            let (drawn, wanted) = (
                try await frames(translated, tone(16000)), try await frames(engine(), tone(16000))
            )
            #expect(drawn.count == wanted.count)
            for (a, b) in zip(drawn, wanted) {
                let (left, right) = (try a.image, try b.image)
                let worst = zip(left.bytes, right.bytes).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) }
                #expect(worst <= 1, "frame \(a.index)")
            }
        }
    }

    @Test("In int8 it is judged like any other pack: what costs too much is not written")
    func int8() async throws {
        try await withTemporaryFolder { folder in
            let quantiser = PackQuantiser(tool: "test", backend: try runner(), media: FFmpeg())
            let robin = try Avatar(contentsOf: Repository.robin)
            let target = folder.appending(path: "robin8.avatar")
            let error = await #expect(throws: VisemeError.self) { try await quantiser.run(robin, to: target) }
            #expect(error?.message.contains("expected at least 38.0 dB") == true, "\(error?.message ?? "")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        }
    }
}
