import Foundation
import Testing
import VisemeTestSupport
import VisemeFFmpeg
import VisemeONNX
@testable import Viseme
@testable import VisemeModels

/// `viseme doctor` must name the guilty stage of a pack that is broken in one known way.
@Suite(
    "Doctor", .serialized, .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct DoctorTests {
    /// One way to break the default pack, and the stage to blame.
    struct Fault: Sendable, CustomTestStringConvertible {
        var name: String
        var guilty: DoctorReport.Stage
        var cause: @Sendable (BrokenPack) throws -> Void
        var testDescription: String { "\(name): \(guilty.rawValue)" }

        init(_ name: String, _ guilty: DoctorReport.Stage, _ cause: @escaping @Sendable (BrokenPack) throws -> Void) {
            (self.name, self.guilty, self.cause) = (name, guilty, cause)
        }
    }

    static let faults: [Fault] = [
        Fault("random encoder", .weights) { try $0.forgetTraining(.audioEncoder, seed: 1) },
        Fault("random generator", .weights) { try $0.forgetTraining(.generator, seed: 2) },
        Fault("one encoder layer re-initialised", .weights) { pack in
            try pack.change(.audioEncoder) { try $0.reinitialise("7.conv_block.0") }
        },
        Fault("one generator layer re-initialised", .weights) { pack in
            try pack.change(.generator) { try $0.reinitialise("up2.conv.double_conv.0.conv.0") }
        },
        Fault("one encoder layer replaced, its digest kept", .weights) { pack in
            try pack.change(.audioEncoder, keepingMetadata: true) {
                try $0.reinitialise("7.conv_block.0", drawable: false)
            }
        },
        Fault("one generator layer replaced, its digest kept", .weights) { pack in
            try pack.change(.generator, keepingMetadata: true) {
                try $0.reinitialise("down5.maxpool_conv.0.double_conv.1.conv.3", drawable: false)
            }
        },
        Fault("one encoder layer replaced", .golden) { pack in
            try pack.change(.audioEncoder) { try $0.reinitialise("7.conv_block.0", drawable: false) }
        },
        Fault("one generator layer replaced", .golden) { pack in
            try pack.change(.generator) {
                try $0.reinitialise("down5.maxpool_conv.0.double_conv.1.conv.3", drawable: false)
            }
        },
        Fault("encoder weights × 1/200", .encoder) { pack in
            try pack.change(.audioEncoder) { graph in
                try graph.change("12.conv_block.0", bias: true) { values, _ in values = values.map { $0 / 200 } }
            }
        },
        Fault("encoder that ignores its input", .encoder) { pack in
            try pack.change(.audioEncoder) { graph in
                // Not zero: that would be a dead layer, which is the next fault.
                try graph.change("0.conv_block.0") { values, _ in values = values.map { $0 * 1e-20 } }
            }
        },
        Fault("dead layer", .weights) { pack in
            try pack.change(.audioEncoder) { graph in
                try graph.change("0.conv_block.0") { values, _ in values = values.map { $0 * 0 } }
            }
        },
        Fault("generator that ignores the audio", .generator) { pack in
            try pack.change(.generator) { graph in
                try graph.change("fuse_conv.0.double_conv.0.conv.0") { values, shape in
                    for i in values.indices where i % shape[1] >= shape[1] / 2 { values[i] = 0 }
                }
            }
        },
        Fault("red and blue exchanged", .colour) { pack in
            try pack.change(.generator) { try $0.exchangeColours() }
        },
        Fault("red and blue exchanged, without goldens", .colour) { pack in
            try pack.change(.generator) { try $0.exchangeColours() }
            try pack.forgetGoldens()
        },
        Fault("tiled window", .featureWindow) { pack in try pack.edit { $0.featureWindow = .tile } },
        Fault("mel windows of another scale", .mel) { try $0.writeToolkitWindows() },
        Fault("wrong mask", .crop) { pack in try pack.edit { $0.geometry.mask = [5, 5, 310, 305] } },
        Fault("wrong mask, without goldens", .crop) { pack in
            try pack.forgetGoldens()
            try pack.edit { $0.geometry.mask = [5, 5, 310, 305] }
        },
        Fault("shifted crop", .crop) { try $0.moveSquares(x: 12, y: 0) },
        Fault("picture too bright at its border", .paste) { pack in
            try pack.change(.generator) { graph in
                let bias = try #require(graph.nodes.first { $0.name == "outc.conv" }?.inputs.last)
                graph.setFloats(of: bias, try #require(graph.weights[bias]).floats().map { $0 + 0.7 })
            }
        },
        Fault("generator with 5 % of noise in its weights", .paste) { pack in
            try pack.forgetGoldens()
            try pack.change(.generator) { try $0.disturb(0.05) }
        },
        Fault("truncated model", .files) { pack in
            let file = pack.url.appending(path: "generator.onnx")
            try Data(contentsOf: file).prefix(1_000_000).write(to: file)
        },
        Fault("truncated model with the hash of what is left", .files) { pack in
            let file = pack.url.appending(path: "audio_encoder.onnx")
            let rest = try Data(contentsOf: file).prefix(1_000_000)
            try rest.write(to: file)
            try pack.edit { manifest in
                for i in manifest.models.indices where manifest.models[i].role == .audioEncoder {
                    manifest.models[i].sha256 = ModelFile.sha256(of: rest)
                }
            }
        },
        Fault("swapped hashes", .files) { pack in
            try pack.edit { manifest in
                (manifest.models[0].sha256, manifest.models[1].sha256) = (
                    manifest.models[1].sha256, manifest.models[0].sha256
                )
            }
        },
        Fault("truncated golden file", .files) { pack in
            let file = pack.url.appending(path: "golden.generator.audio.bin")
            try Data(contentsOf: file).prefix(4001).write(to: file)
        },
        Fault("swapped models", .contract) { pack in
            try pack.edit { manifest in
                let (first, second) = (manifest.models[0], manifest.models[1])
                (manifest.models[0].file, manifest.models[0].sha256) = (second.file, second.sha256)
                (manifest.models[1].file, manifest.models[1].sha256) = (first.file, first.sha256)
            }
        },
        Fault("no generator", .contract) { pack in
            try pack.edit { $0.models.removeAll { $0.role == .generator } }
        },
        Fault("overflow in Float16", .weights) { pack in
            try pack.change(.generator) { graph in
                try graph.change("down3.maxpool_conv.0.double_conv.0.conv.0") { values, _ in values[0] = .infinity }
                graph = try graph.withWeights(as: .float16)
            }
        },
        Fault("overflow in the encoder in Float16", .weights) { pack in
            try pack.change(.audioEncoder) { graph in
                try graph.change("3.conv_block.0") { values, _ in values[0] = -.infinity }
                graph = try graph.withWeights(as: .float16)
            }
        },
    ]

    private func doctor() throws -> Doctor {
        let library: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        let onnx = try ONNXBackend(libraryPath: library)
        return Doctor(backend: TranslatingBackend(splitting: onnx), runner: onnx, media: FFmpeg())
    }

    private func text(_ report: DoctorReport) -> String {
        report.findings.map { "\($0.outcome.rawValue) \($0.stage.rawValue): \($0.message)" }.joined(separator: "\n")
    }

    @Test("The guilty stage of a broken pack is named", arguments: faults)
    func names(_ fault: Fault) async throws {
        try await withTemporaryFolder { folder in
            let pack = try BrokenPack(in: folder)
            try fault.cause(pack)
            let report = try await doctor().examine(packAt: pack.url)
            #expect(report.guilty == fault.guilty, "\(text(report))")
            for finding in report.findings where finding.outcome == .bad { #expect(!finding.message.isEmpty) }
        }
    }

    @Test("The default pack is well, but for its visible seam")
    func well() async throws {
        let report = try await doctor().examine(packAt: BrokenPack.original)
        #expect(report.isHealthy, "\(text(report))")
        let seen = Set(report.findings.filter { $0.outcome == .good }.map(\.stage))
        let others: [DoctorReport.Stage] = [.paste, .articulator, .template]
        #expect(seen == Set(DoctorReport.Stage.allCases).subtracting(others), "\(text(report))")
        #expect(report.warned == [.paste], "\(text(report))")
    }

    /// What an import with the wrong generator makes: its own pictures, another person's networks.
    @Test("A generator that was trained on somebody else is found by the seam and by what it changes")
    func foreign() async throws {
        try await withTemporaryFolder { folder in
            let pack = try BrokenPack(in: folder)
            try pack.forgetGoldens()
            try await pack.repaint(frames: 8) { blue, green, red in (max(0, blue - 30), green, min(255, red + 30)) }
            let report = try await doctor().examine(packAt: pack.url)
            #expect(report.isBad(.paste) && report.isBad(.identity), "\(text(report))")
            // The same pictures in their own colours: the pack is as good as the original.
            try FileManager.default.removeItem(at: pack.url)
            let same = try BrokenPack(in: folder)
            try same.forgetGoldens()
            try await same.repaint(frames: 8) { ($0, $1, $2) }
            let own = try await doctor().examine(packAt: same.url)
            #expect(own.isHealthy, "\(text(own))")
        }
    }

    @Test("The usual mistake, the roi over the whole square, is a broken seam")
    func zoom() async throws {
        let avatar = try Avatar(contentsOf: BrokenPack.original)
        let compositor = Compositor(avatar.manifest.geometry)
        for index in [0, 100, 200] {
            let picture = try await TemplatePicture(index, of: avatar, media: FFmpeg())
            let side = picture.square.width
            let roi = picture.roi
            var zoomed = picture.frame
            Compositor.place(
                CubicResize.resize(roi, width: roi.width, height: roi.height, targetWidth: side, targetHeight: side),
                in: &zoomed, at: picture.square)
            let planes = compositor.generatorInput(roi: roi, masked: picture.masked)
            let right = try compositor.paste(
                mouth: Array(planes.prefix(3 * roi.width * roi.height)), crop: picture.crop, into: picture.frame,
                at: picture.square)
            let (bad, good) = (
                SeamMeasure(zoomed, picture, avatar.manifest.geometry),
                SeamMeasure(right, picture, avatar.manifest.geometry)
            )
            #expect(bad.ratio > LikenessLimits.brokenSeam, "\(bad)")
            #expect(good.ratio < 1.05, "\(good)")
        }
    }

    @Test("A pack without goldens is not accused; what cannot be tested is said")
    func withoutGoldens() async throws {
        try await withTemporaryFolder { folder in
            let pack = try BrokenPack(in: folder)
            try pack.forgetGoldens()
            try pack.edit { $0.geometry.mask = GeneratorFamily.syncTalk2D.flattenedMask ?? [] }
            let report = try await doctor().examine(packAt: pack.url)
            #expect(report.isHealthy, "\(text(report))")
            let skipped = Set(report.findings.filter { $0.outcome == .skipped }.map(\.stage))
            #expect(skipped == [.articulator, .mel, .featureWindow, .crop, .golden], "\(text(report))")
        }
    }

    @Test("A pack without its template or its manifest names the files", arguments: ["template.mp4", "avatar.json"])
    func missing(_ file: String) async throws {
        try await withTemporaryFolder { folder in
            let pack = try BrokenPack(in: folder)
            try FileManager.default.removeItem(at: pack.url.appending(path: file))
            #expect(try await doctor().examine(packAt: pack.url).guilty == .files)
        }
    }

    @Test("A single model is examined as well")
    func single() async throws {
        let doctor = try doctor()
        for file in ["audio_encoder.onnx", "generator.onnx"] {
            let report = await doctor.examine(modelAt: BrokenPack.original.appending(path: file))
            #expect(report.isHealthy, "\(text(report))")
        }
        try await withTemporaryFolder { folder in
            let fresh = folder.appending(path: "fresh.onnx")
            try ONNXWriter.data(.fresh(.audioEncoder, seed: 3)).write(to: fresh)
            #expect(await doctor.examine(modelAt: fresh).guilty == .weights)
            try Data("no model".utf8).write(to: fresh)
            #expect(await doctor.examine(modelAt: fresh).guilty == .files)
        }
    }

    @Test("A legacy generator of 160 pixels is judged by its own geometry")
    func legacy() async throws {
        try await withTemporaryFolder { folder in
            let family = ModelFamily.generator(
                GeneratorArchitecture(channels: [4, 8, 16, 32, 64], audio: .ave, imageSize: 160))
            let pack = try BrokenPack(in: folder)
            try pack.forgetGoldens()
            let data = try ONNXWriter.data(.fresh(family, seed: 4))
            try pack.edit { manifest in
                manifest.geometry = CropGeometry(crop: 168, roi: 160, border: 4, mask: [5, 5, 155, 150])
                let index = try #require(manifest.models.firstIndex { $0.role == .generator })
                try data.write(to: pack.url.appending(path: manifest.models[index].file))
                manifest.models[index].sha256 = ModelFile.sha256(of: data)
                let side = TensorDescription.Dimension.fixed(160)
                manifest.models[index].inputs[0].shape = [.batch, .fixed(6), side, side]
                manifest.models[index].outputs[0].shape = [.batch, .fixed(3), side, side]
            }
            let report = try await doctor().examine(packAt: pack.url)
            #expect(report.guilty == .weights, "\(text(report))")
            for stage in [DoctorReport.Stage.files, .contract, .runtime, .mel, .encoder, .featureWindow, .crop] {
                #expect(!report.isBad(stage), "\(text(report))")
            }
        }
    }
}
