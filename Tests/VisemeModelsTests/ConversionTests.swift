import Foundation
import Testing
import Viseme
import VisemeTestSupport
@testable import VisemeModels

@Suite("Conversion")
struct ConversionTests {
    static let ways: [(String, String, ModelConverter.Precision)] = [
        ("narrow.pth", "out.onnx", .fp32), ("narrow.pth", "out.onnx", .fp16), ("narrow.pth", "out.mlpackage", .fp32),
        ("narrow.pth", "out.mlpackage", .fp16), ("narrow-torch.onnx", "out.mlpackage", .fp16),
        ("narrow-fp32.mlpackage", "out.onnx", .fp32),
        ("narrow-fp16.mlpackage", "out.onnx", .fp32),
    ]

    @Test(
        "Every route gives a model that computes what its source computes", .enabled(if: Repository.canRunModels),
        arguments: ways)
    func route(_ source: String, _ target: String, _ precision: ModelConverter.Precision) async throws {
        try await withTemporaryFolder { folder in
            var converter = ModelConverter(tool: "test", runner: try Narrow.runner())
            converter.precision = precision
            let url = folder.appending(path: target)
            let report = try await converter.convert(Narrow.url(source), to: url)
            #expect(report.proof.count == 2)
            #expect(report.proof.allSatisfy { $0.maximum <= 1e-3 })
            let result = try OpenedModel(at: url)
            #expect(result.remarks.isEmpty, "the linter has nothing to say")
            #expect(result.metadata["viseme.source.sha256"] == report.sourceSHA256)
            #expect(result.sha256 == report.resultSHA256)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: folder.path) == [target], "nothing else is left")
        }
    }

    @Test("fp32 weights are the same bits in every format", .enabled(if: Repository.canRunModels))
    func digests() async throws {
        try await withTemporaryFolder { folder in
            let converter = ModelConverter(tool: "test", runner: try Narrow.runner())
            _ = try await converter.convert(Narrow.url("narrow.pth"), to: folder.appending(path: "a.onnx"))
            _ = try await converter.convert(folder.appending(path: "a.onnx"), to: folder.appending(path: "b.mlpackage"))
            let wanted = try Narrow.open("narrow.pth").network().graph.folded().tensorDigest()
            #expect(try OpenedModel(at: folder.appending(path: "b.mlpackage")).network().graph.tensorDigest() == wanted)
            #expect(try Narrow.open("narrow-fp32.mlpackage").network().graph.tensorDigest() == wanted)
        }
    }

    @Test("A package is written the same way twice", .enabled(if: Repository.canRunModels))
    func deterministic() async throws {
        try await withTemporaryFolder { folder in
            let converter = ModelConverter(tool: "test", runner: try Narrow.runner())
            let first = try await converter.convert(Narrow.url("narrow.pth"), to: folder.appending(path: "a.mlpackage"))
            let second = try await converter.convert(
                Narrow.url("narrow.pth"), to: folder.appending(path: "b.mlpackage"))
            #expect(first.resultSHA256 == second.resultSHA256)
        }
    }

    @Test(
        "A network that was never trained is refused, and passes only with its stamp",
        .enabled(if: Repository.canRunModels),
        arguments: ["narrow-fresh.pth", "narrow-partly.pth"])
    func untrained(_ file: String) async throws {
        try await withTemporaryFolder { folder in
            var converter = ModelConverter(tool: "test", runner: try Narrow.runner())
            let url = folder.appending(path: "out.onnx")
            let error = await #expect(throws: VisemeError.self) {
                try await converter.convert(Narrow.url(file), to: url)
            }
            #expect(error?.code == .badData)
            #expect(error?.message.contains("TRAINED") == true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty, "nothing was written")
            converter.allowUntrained = true
            _ = try await converter.convert(Narrow.url(file), to: url)
            #expect(try OpenedModel(at: url).metadata["viseme.untrained"] != nil)
        }
    }

    @Test("An existing file stays unless it may be replaced", .enabled(if: Repository.canRunModels))
    func existing() async throws {
        try await withTemporaryFolder { folder in
            let converter = ModelConverter(tool: "test", runner: try Narrow.runner())
            let url = folder.appending(path: "out.onnx")
            try Data("mine".utf8).write(to: url)
            let error = await #expect(throws: VisemeError.self) {
                try await converter.convert(Narrow.url("narrow.pth"), to: url)
            }
            #expect(error?.code == .cannotCreate)
            #expect(try Data(contentsOf: url) == Data("mine".utf8))
            _ = try await converter.convert(Narrow.url("narrow.pth"), to: url, overwrite: true)
            #expect(try OpenedModel(at: url).family != nil)
        }
    }

    static let name = "up2.conv.double_conv.0.conv.0.weight"

    @Test("Every tensor that does not fit is listed")
    func strictness() throws {
        let first = StoredTensor(name: Self.name, shape: [1, 2], floats: [1, 2])
        let extra = StoredTensor(name: "surplus.weight", shape: [1], floats: [0])
        let notANumber = StoredTensor(name: "outc.conv.bias", shape: [3], floats: [0, .nan, 0])
        let state = try Narrow.state([
            Self.name: first, "up1.conv.double_conv.0.conv.1.bias": nil, extra.name: extra, notANumber.name: notANumber,
        ])
        let family = try #require(try ModelFamily(of: state))
        let error = #expect(throws: VisemeError.self) { try family.graph(state) }
        for words in [
            "wrong shape: '\(Self.name)' is [1, 2]", "missing: 'up1.conv.double_conv.0.conv.1.bias'",
            "not part of it: 'surplus.weight'",
            "not a number: 'outc.conv.bias' has nan at element 1",
        ] { #expect(error?.message.contains(words) == true, "\(words) in \(error?.message ?? "")") }
    }

    @Test("A weight beyond Float16 is refused in fp16")
    func overflow() throws {
        let graph = try Narrow.open("narrow.pth").network().graph.folded()
        var broken = graph
        broken.weights["outc.conv.bias"] = StoredTensor(name: "outc.conv.bias", shape: [3], floats: [0, 70000, 0])
        let error = #expect(throws: VisemeError.self) { try broken.withWeights(as: .float16) }
        #expect(error?.message.contains("outc.conv.bias") == true)
    }

    @Test("Half precision is exact both ways")
    func halves() {
        for bits in UInt16.min...UInt16.max where HalfPrecision.float(bits).isFinite {
            #expect(HalfPrecision.bits(HalfPrecision.float(bits)) == bits)
        }
        for (value, expected) in [
            (Float(65519.996), UInt16(0x7BFF)), (65520, 0x7C00), (0x1p-25, 0), (0x1.8p-24, 2), (-0x1p-24, 0x8001),
        ] {
            #expect(HalfPrecision.bits(value) == expected, "\(value)")
        }
    }
}
