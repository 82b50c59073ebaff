import Foundation
import Testing
import Viseme
import VisemeTestSupport
@testable import VisemeModels

extension CommandLineTests {
    @Suite("Model commands")
    struct ModelCommandTests {
        private struct Diagnosis: Decodable {
            var guilty: String?
            var findings: [DoctorReport.Finding]
        }

        private static let robin = BrokenPack.original.path
        private static let checkpoints = Repository.root.appending(path: "training/checkpoints/synctalk2d")
        private static let encoder = checkpoints.appending(path: "audio_visual_encoder.pth").path

        private func decode<Value: Decodable>(_ type: Value.Type, _ outcome: Program.Outcome) throws -> Value {
            try JSONDecoder().decode(type, from: Data(outcome.output.utf8))
        }

        @Test("doctor says that the default avatar is well in every stage")
        func doctorOnDefaultPack() async throws {
            try await withTemporaryFolder { folder in
                let outcome = try await Program.run(["doctor", Repository.robin.path], in: folder)
                #expect(
                    outcome.status == 0 && outcome.output.hasSuffix("\nall stages are well\n"),
                    "\(outcome.output)\(outcome.errors)")
            }
        }

        @Test("doctor says that no stage of the first robin is bad, but for a visible seam, within ten seconds")
        func doctorOnGoodPack() async throws {
            try await withTemporaryFolder { folder in
                let start = ContinuousClock.now
                let outcome = try await Program.run(["doctor", Self.robin], in: folder)
                #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
                #expect(
                    outcome.output.hasSuffix("no stage is bad; warnings: paste\n") && !outcome.output.contains("BAD"))
                #expect(ContinuousClock.now - start < .seconds(10))
            }
        }

        @Test("doctor names the guilty stage, in words and in JSON, and exits 1")
        func doctorOnBrokenPack() async throws {
            try await withTemporaryFolder { folder in
                let pack = try BrokenPack(in: folder)
                try pack.edit { $0.featureWindow = .tile }
                let words = try await Program.run(["doctor", "broken.avatar"], in: folder)
                #expect(words.status == 1 && words.output.hasSuffix("guilty stage: window\n"), "\(words.output)")
                #expect(words.output.contains("→"))
                let json = try await Program.run(["doctor", "broken.avatar", "--json"], in: folder)
                let diagnosis = try decode(Diagnosis.self, json)
                #expect(json.status == 1 && diagnosis.guilty == "window")
                #expect(diagnosis.findings.contains { $0.stage == .weights && $0.outcome == .good })
            }
        }

        @Test("doctor takes a single model, and misses a missing runtime")
        func doctorOnModel() async throws {
            try await withTemporaryFolder { folder in
                let model = try await Program.run(["doctor", Self.robin + "/audio_encoder.onnx"], in: folder)
                #expect(model.status == 0, "\(model.output)")
                let runtime = try await Program.run(
                    ["doctor", Self.robin, "--onnxruntime", "/nowhere/libonnxruntime.so"], in: folder)
                #expect(runtime.status == 1 && runtime.output.hasSuffix("guilty stage: runtime\n"), "\(runtime.output)")
                let nothing = try await Program.run(["doctor", "nothing.avatar"], in: folder)
                #expect(nothing.status == 66)
            }
        }

        @Test("inspect describes a pack and a checkpoint")
        func inspect() async throws {
            try await withTemporaryFolder { folder in
                let pack = try await Program.run(["inspect", Self.robin, "--json"], in: folder)
                let reports = try decode([ModelReport].self, pack)
                #expect(pack.status == 0 && reports.map(\.format) == ["ONNX", "ONNX"])
                #expect(reports.allSatisfy { [.trained, .initialShape].contains($0.verdict.kind) })
                #expect(reports.allSatisfy { $0.problem == nil && $0.remarks.isEmpty && !$0.layers.isEmpty })
                #expect(reports.first?.inputs == ["mel [B,1,80,16]"])

                let words = try await Program.run(["inspect", Self.encoder], in: folder)
                #expect(words.status == 0, "\(words.errors)")
                #expect(words.output.contains("network: audio encoder, (B,1,80,16) → (B,512)"))
                #expect(words.output.contains("2812672 parameters") && words.output.contains("verdict: TRAINED"))

                try Data("no model".utf8).write(to: folder.appending(path: "broken.onnx"))
                #expect(try await Program.run(["inspect", "broken.onnx"], in: folder).status == 65)
                #expect(try await Program.run(["inspect", "absent.onnx"], in: folder).status == 66)
            }
        }

        @Test("convert writes what compare finds equal, and replaces nothing without --force")
        func convert() async throws {
            try await withTemporaryFolder { folder in
                let outcome = try await Program.run(["convert", Self.encoder, "encoder.onnx"], in: folder)
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(outcome.output.contains("proved against the source's own arithmetic"))
                let again = try await Program.run(["convert", Self.encoder, "encoder.onnx"], in: folder)
                #expect(again.status == 73 && again.errors.contains("--force"))
                let forced = try await Program.run(
                    ["convert", Self.encoder, "encoder.onnx", "--force", "--json"], in: folder)
                let report = try decode(ModelConverter.Report.self, forced)
                #expect(forced.status == 0 && report.proof.allSatisfy { $0.maximum <= report.tolerance })
                #expect(try names(in: folder) == ["encoder.onnx"])

                let same = try await Program.run(["compare", Self.encoder, "encoder.onnx"], in: folder)
                #expect(same.status == 0 && same.output.contains("identical bit by bit"), "\(same.output)")

                var graph = try OpenedModel(at: folder.appending(path: "encoder.onnx")).network().graph
                try graph.reinitialise("4.conv_block.0")
                try ONNXWriter.data(graph).write(to: folder.appending(path: "other.onnx"))
                let other = try await Program.run(["compare", Self.encoder, "other.onnx"], in: folder)
                #expect(other.status == 1 && other.output.contains("weights: 1 differ"), "\(other.output)")
                #expect(other.output.contains("first layer that differs: 4.conv_block.0\n"), "\(other.output)")
                let partly = try await Program.run(["convert", "other.onnx", "third.onnx"], in: folder)
                #expect(partly.status == 65 && partly.errors.contains("4.conv_block.0"), "\(partly.errors)")
            }
        }

        @Test("compare holds arrays against each other")
        func compareArrays() async throws {
            try await withTemporaryFolder { folder in
                let values: [Float] = [0, 1, 2, 3, 4, 5.5]
                let array = NumPyArray(shape: [2, 3], floats: values)
                try array.data().write(to: folder.appending(path: "a.npy"))
                try values.withUnsafeBytes { Data($0) }.write(to: folder.appending(path: "b.bin"))
                let shifted = values.map { $0 + 0.25 }
                try shifted.withUnsafeBytes { Data($0) }.write(to: folder.appending(path: "c.bin"))
                let same = try await Program.run(["compare", "a.npy", "b.bin"], in: folder)
                #expect(same.status == 0 && same.output.contains("max 0"), "\(same.output)\(same.errors)")
                let other = try await Program.run(["compare", "a.npy", "c.bin", "--json"], in: folder)
                #expect(other.status == 1)
                #expect(try decode(TensorDifference.self, other).maximum == 0.25)
                let near = try await Program.run(["compare", "a.npy", "c.bin", "--atol", "0.3"], in: folder)
                #expect(near.status == 0)
                try Data([1, 2, 3]).write(to: folder.appending(path: "d.bin"))
                #expect(try await Program.run(["compare", "a.npy", "d.bin"], in: folder).status == 65)
            }
        }
    }
}
