import Foundation
import Testing
import Viseme
import VisemeTestSupport

/// What every backend owes the engine, on the default avatar's networks.
@Suite("Contract of the backends", .serialized)
struct BackendContractTests {
    @Test("The audio encoder gives what PyTorch gave", arguments: Contender.here)
    func encoderGolden(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            let golden = try Robin.golden(.audioEncoder)
            let windows = try Robin.values(golden.inputs[0])
            let rows = try await contender.encoder(in: folder).encode(windows, count: windows.count / 1280)
            #expect(Robin.largestDifference(rows, try Robin.values(golden.output)) <= Float(golden.tolerance))
        }
    }

    @Test("The generator gives what PyTorch gave, and the same again", arguments: Contender.here)
    func generatorGolden(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            let golden = try Robin.golden(.generator)
            let (image, audio) = try Robin.generatorInputs()
            let generator = try await contender.generator(in: folder)
            #expect(generator.imageSize.count * 6 == image.count)
            let first = try await generator.generate(image: image, audio: audio)
            #expect(Robin.largestDifference(first, try Robin.values(golden.output)) <= Float(golden.tolerance))
            #expect(try await generator.generate(image: image, audio: audio) == first)
        }
    }

    @Test("Rows do not depend on the size of the batch", arguments: Contender.here)
    func batches(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            let encoder = try await contender.encoder(in: folder)
            let windows = randomFloats(7 * 1280, in: -4...4, seed: 5)
            let together = try await encoder.encode(windows, count: 7)
            #expect(together.count == 7 * 512)
            for k in 0..<7 {
                let alone = try await encoder.encode(Array(windows[k * 1280..<(k + 1) * 1280]), count: 1)
                #expect(Robin.largestDifference(alone, Array(together[k * 512..<(k + 1) * 512])) <= 1e-5, "window \(k)")
            }
        }
    }

    @Test("The sound moves the mouth, and calls at once do not disturb each other", arguments: Contender.here)
    func concurrency(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            let generator = try await contender.generator(in: folder)
            let (image, audio) = try Robin.generatorInputs()
            let silent = [Float](repeating: 0, count: audio.count)
            let spoken = try await generator.generate(image: image, audio: audio)
            let still = try await generator.generate(image: image, audio: silent)
            #expect(Robin.largestDifference(spoken, still) > 0.05)
            let answers = try await withThrowingTaskGroup(of: (Int, [Float]).self) { group in
                for k in 0..<4 {
                    group.addTask {
                        (k, try await generator.generate(image: image, audio: k % 2 == 0 ? audio : silent))
                    }
                }
                return try await group.reduce(into: [Int: [Float]]()) { $0[$1.0] = $1.1 }
            }
            for k in 0..<4 { #expect(answers[k] == (k % 2 == 0 ? spoken : still), "call \(k)") }
        }
    }

    @Test("Two threads give what one gives", arguments: Contender.here)
    func threads(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            let (image, audio) = try Robin.generatorInputs()
            let model = try await contender.model(.generator, in: folder)
            let one = try await contender.backend().generator(model, threads: 1)
            let two = try await contender.backend().generator(model, threads: 2)
            let difference = Robin.largestDifference(
                try await one.generate(image: image, audio: audio), try await two.generate(image: image, audio: audio))
            #expect(difference <= 1e-5)
        }
    }

    @Test("It says what runs the model", arguments: Contender.here)
    func runtime(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            let runtime = try await contender.encoder(in: folder).runtime
            #expect(!runtime.version.isEmpty && !runtime.provider.isEmpty)
            let words: [Contender: String] = [
                .onnx: "ONNX Runtime", .translated: "Core ML package, translated, run by",
                .inParts: "ONNX Runtime",
            ]
            #expect(runtime.runtime.hasPrefix(words[contender] ?? "Core ML"))
        }
    }

    @Test("Bytes that are not those of the manifest are refused before they are run", arguments: Contender.here)
    func altered(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            var model = try await contender.model(.audioEncoder, in: folder)
            var description = model.description
            description.sha256 = String(repeating: "0", count: 64)
            model = ModelFile(description, at: model.url)
            let error = await #expect(throws: VisemeError.self) {
                _ = try await contender.backend().audioEncoder(model, threads: 1)
            }
            #expect(error?.code == .badData && error?.message.contains(model.url.lastPathComponent) == true)
        }
    }

    @Test("A network of the other role is refused", arguments: Contender.here)
    func wrongRole(_ contender: Contender) async throws {
        try await withTemporaryFolder { folder in
            let model = try await contender.model(.audioEncoder, in: folder)
            let error = await #expect(throws: VisemeError.self) {
                _ = try await contender.backend().generator(model, threads: 1)
            }
            #expect(error?.code == .badData)
        }
    }
}
