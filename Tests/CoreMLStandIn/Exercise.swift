// Runs the Core ML backend against models that are closures: scripts/check-coreml.sh --run. It shows that windows, batches,
// padding, types, errors and life times are handled as meant; it says nothing about Apple's runtime.

import CoreML
import Foundation
import Viseme

@main struct Exercise {
    nonisolated(unsafe) static var failures = 0

    static func expect(_ condition: Bool, _ what: String) {
        if !condition {
            print("exercise: FAILED: \(what)")
            failures += 1
        }
    }

    /// Runs `body` and expects an error of this code whose message holds all `words`.
    static func refuses(
        _ code: VisemeError.Code, _ words: [String], _ what: String, _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            expect(false, "\(what): nothing was thrown")
        } catch let error as VisemeError {
            expect(error.code == code, "\(what): code \(error.code.rawValue), expected \(code.rawValue): \(error)")
            for word in words { expect(error.message.contains(word), "\(what): '\(word)' is not in: \(error.message)") }
            expect(error.hint != nil || code == .noInput, "\(what): no hint")
        } catch {
            expect(false, "\(what): threw \(error)")
        }
    }

    static func main() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "viseme-coreml-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let pack = try Pack(at: folder)
        StandIn.compile = { source in
            let target = folder.appending(path: "compiled-\(UUID().uuidString).mlmodelc")
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
            return target
        }
        do {
            try layouts()
            halves()
            await devices()
            try await encoders(pack)
            try await generators(pack)
            try await compact(pack)
            try await lifeTimes(pack, folder)
            await refusals(pack)
        } catch {
            expect(false, "threw \(error)")
        }
        print(failures == 0 ? "exercise: all as expected" : "exercise: \(failures) failed")
        exit(failures == 0 ? 0 : 1)
    }

    // MARK: - Without Core ML

    /// Every layout against the plain definition: element (i, j, …) lies at Σ index × stride.
    static func layouts() throws {
        let cases: [(shape: [Int], strides: [Int], rows: Int)] = [
            ([1, 512], [512, 1], 1), ([1, 512], [9999, 1], 1), ([1, 3, 4, 5], [60, 20, 5, 1], 1),
            ([1, 3, 4, 5], [96, 32, 8, 1], 12), ([1, 3, 4, 5], [192, 64, 5, 1], 3), ([2, 3, 4], [1, 2, 6], 6),
            ([2, 3, 4], [12, 1, 3], 6), ([4, 1, 3], [8, 777, 2], 4), ([1, 1], [1, 1], 1), ([3, 2], [0, 1], 3),
        ]
        for (shape, strides, rows) in cases {
            let layout = try StridedLayout(shape: shape, strides: strides)
            expect(layout.rowCount == rows, "\(shape) \(strides) has \(layout.rowCount) rows, expected \(rows)")
            let count = shape.reduce(1, *)
            var offsets = [0]
            for (length, stride) in zip(shape, strides) {
                offsets = offsets.flatMap { base in (0..<length).map { base + $0 * stride } }
            }
            expect(layout.count == count && layout.extent == (offsets.max() ?? 0) + 1, "extent of \(shape) \(strides)")
            for element in [TensorElement.float32, .float16] {
                var buffer = [UInt8](repeating: 0xFF, count: layout.extent * element.byteCount)
                let values = (0..<count).map { Float($0) - 7.5 }
                buffer.withUnsafeMutableBytes { bytes in
                    values.withUnsafeBufferPointer { layout.write($0, into: bytes, element) }
                }
                var back = [Float](repeating: .nan, count: count)
                buffer.withUnsafeBytes { bytes in
                    back.withUnsafeMutableBufferPointer { layout.read(bytes, element, into: $0) }
                }
                let plain = offsets.map { offset in
                    buffer.withUnsafeBytes { bytes in
                        element == .float32
                            ? bytes.loadUnaligned(fromByteOffset: offset * 4, as: Float.self)
                            : Half.value(bytes.loadUnaligned(fromByteOffset: offset * 2, as: UInt16.self))
                    }
                }
                expect(back == plain, "\(element) \(shape) \(strides) reads what lies there")
                let isPlain = !strides.contains(0)
                expect(!isPlain || back == values, "\(element) \(shape) \(strides) reads what was written")
                let written = Set(offsets)
                let padding = (0..<layout.extent).filter { !written.contains($0) }.flatMap { offset in
                    buffer[offset * element.byteCount..<(offset + 1) * element.byteCount]
                }
                expect(padding.allSatisfy { $0 == 0xFF }, "\(element) \(shape) \(strides) leaves the padding alone")
            }
        }
        for (shape, strides) in [
            ([1, 2], [1]), ([0, 2], [2, 1]), ([2, 2], [-2, 1]), ([Int.max, 2], [1, 1]), ([2, 3], [Int.max, 1]),
        ] {
            expect((try? StridedLayout(shape: shape, strides: strides)) == nil, "\(shape) \(strides) is refused")
        }
    }

    /// All 65 536 patterns both ways, and ties, against Swift's own Float16 where it exists.
    static func halves() {
        for pattern in UInt16.min...UInt16.max {
            let value = Half.value(pattern)
            #if arch(arm64) || os(Linux)
                let reference = Float(Float16(bitPattern: pattern))
                let isRight = value.isNaN ? reference.isNaN : value.bitPattern == reference.bitPattern
                if !isRight { expect(false, "value of half \(pattern)") }
                let next = Half.value(pattern &+ 1)
                for fraction: Float in [0, 0.25, 0.49, 0.5, 0.51, 0.75] where value.isFinite && next.isFinite {
                    let between = value + (next - value) * fraction
                    if Half.bits(between) != Float16(between).bitPattern { expect(false, "bits of \(between)") }
                }
            #endif
            if !value.isNaN { if Half.bits(value) != pattern { expect(false, "half \(pattern) goes round") } }
        }
        expect(Half.bits(65519.9) == 0x7BFF && Half.bits(65520) == 0x7C00 && Half.bits(-1e9) == 0xFC00, "overflow")
        expect(Half.value(Half.bits(.nan)).isNaN, "NaN")
    }

    // MARK: - With the stand-in

    static func devices() async {
        StandIn.devices = [.cpu(MLCPUComputeDevice())]
        for units in [ComputeUnits.cpuOnly, .all] { expect((try? CoreMLBackend(units: units)) != nil, "\(units)") }
        await refuses(.unavailable, ["CPU + Neural Engine", "this machine has CPU."], "no Neural Engine") {
            _ = try CoreMLBackend()
        }
        await refuses(.unavailable, ["CPU + GPU"], "no GPU") { _ = try CoreMLBackend(units: .cpuAndGPU) }
        StandIn.devices.append(.neuralEngine(MLNeuralEngineComputeDevice()))
        expect((try? CoreMLBackend())?.units == .cpuAndNeuralEngine, "the default, where it is")
    }

    static func encoders(_ pack: Pack) async throws {
        for (type, shape, padding) in [
            (MLMultiArrayDataType.float32, [1, 512], 0), (.float32, [1, 512], 32), (.float16, [1, 512], 64),
            (.float32, [], 0),  // an output whose shape the model does not state
        ] {
            StandIn.load = { _ in Pack.encoder(type, shape, padding) }
            StandIn.batches = []
            let encoder = try await CoreMLBackend(units: .cpuOnly).audioEncoder(pack.encoder, threads: 3)
            expect(encoder.runtime.runtime == "Core ML" && encoder.runtime.provider == "CPU", "\(encoder.runtime)")
            expect(encoder.runtime.threads == 0 && !encoder.runtime.version.isEmpty, "\(encoder.runtime)")
            expect(StandIn.batches.isEmpty, "one run at load, without a batch")
            let count = 70
            let windows = (0..<count * 1280).map { Float($0 / 1280) + Float($0 % 1280) / 2048 }
            let rows = try await encoder.encode(windows, count: count)
            let expected = (0..<count * 512).map { Float($0 / 512) + Float($0 % 512) / 2048 }
            expect(rows.count == expected.count, "\(count) rows")
            let worst = zip(rows, expected).map { abs($0 - $1) }.max() ?? .infinity
            expect(worst <= (type == .float16 ? 0.04 : 0), "\(type) \(shape) padded by \(padding): off by \(worst)")
            expect(StandIn.batches == [32, 32, 6], "batches: \(StandIn.batches)")
            let none = try await encoder.encode([], count: 0)
            expect(none.isEmpty, "no windows")
        }
        let encoder = try await CoreMLBackend(units: .cpuOnly).audioEncoder(pack.encoder, threads: 1)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await encoder.encode([Float](repeating: 0, count: 1280), count: 1)
        }
        if case .failure(let error) = await task.result {
            expect(error is CancellationError, "cancelled: \(error)")
        } else {
            expect(false, "a cancelled task runs nothing")
        }
    }

    static func generators(_ pack: Pack) async throws {
        for (side, type, padding) in [
            (320, MLMultiArrayDataType.float32, 0), (320, .float32, 12), (160, .float16, 24), (160, .float32, 3),
        ] {
            StandIn.load = { _ in Pack.generator(side, type, padding) }
            let generator = try await CoreMLBackend(units: .cpuOnly).generator(pack.generator(side), threads: 1)
            expect(generator.imageSize.width == side, "side \(side)")
            let image = (0..<6 * side * side).map { Float($0 % 251) / 256 }
            let mouth = try await generator.generate(image: image, audio: [Float](repeating: 0.5, count: 8192))
            // The model adds the audio's last value to the first three planes.
            expect(mouth.count == 3 * side * side, "size \(mouth.count)")
            let worst = zip(mouth, image).map { abs($0 - $1 - 0.5) }.max() ?? .infinity
            expect(worst <= (type == .float16 ? 1e-3 : 0), "\(side) \(type) padded by \(padding): off by \(worst)")
        }
    }

    /// The compact family's tensors: other ranks, oblong pictures, an articulator.
    static func compact(_ pack: Pack) async throws {
        let (sound, picture) = (("audio", [32, 96]), ("image", [6, 224, 320]))
        let (mel, rows) = ([("mel", [80, 8])], ("features", [96]))
        let (shapes, mouth) = (("articulation", [42]), ("output", [3, 224, 320]))
        func values(_ count: Int) -> [Float] { (0..<count).map { Float($0 % 251) / 256 } }
        func worst(_ made: [Float], _ wanted: [Float]) -> Float {
            made.count == wanted.count ? zip(made, wanted).map { abs($0 - $1) }.max() ?? 0 : .infinity
        }
        for (type, padding) in [(MLMultiArrayDataType.float32, 0), (.float32, 5), (.float16, 16)] {
            let tolerance: Float = type == .float16 ? 2e-3 : 0
            let backend = try CoreMLBackend(units: .cpuOnly)
            StandIn.load = { _ in Pack.echo(mel, rows, type, padding) }
            let encoder = try await backend.audioEncoder(pack.compact(.audioEncoder, mel, rows), threads: 1)
            let windows = values(3 * 640)
            let made = try await encoder.encode(windows, count: 3)
            let wanted = (0..<3).flatMap { windows[$0 * 640..<$0 * 640 + 96] }
            expect(worst(made, wanted) <= tolerance, "compact rows, \(type), padded by \(padding)")

            StandIn.load = { _ in Pack.echo([sound], shapes, type, padding) }
            let articulator = try await backend.articulator(pack.compact(.articulator, [sound], shapes), threads: 1)
            let heard = try await articulator.articulate(values(32 * 96))
            expect(worst(heard, values(42)) <= tolerance, "articulation, \(type), padded by \(padding)")
            expect(articulator.runtime.runtime == "Core ML", "\(articulator.runtime)")

            StandIn.load = { _ in Pack.echo([picture, sound], mouth, type, padding) }
            let generator = try await backend.generator(
                pack.compact(.generator, [picture, sound], mouth), threads: 1)
            expect(generator.imageSize == PixelSize(width: 320, height: 224), "\(generator.imageSize)")
            let image = values(6 * 224 * 320)
            let drawn = try await generator.generate(image: image, audio: [Float](repeating: 0.5, count: 32 * 96))
            expect(
                worst(drawn, image.prefix(3 * 224 * 320).map { $0 + 0.5 }) <= tolerance,
                "compact mouth, \(type), padded by \(padding)")
        }
        await refuses(.badData, ["has no articulator"], "an articulator of the other family") {
            let model = try pack.compact(.articulator, [sound], shapes)
            _ = try await CoreMLBackend(units: .cpuOnly).articulator(
                ModelFile(model.description, at: model.url), threads: 1)
        }
        await refuses(.badData, ["[B,42]"], "an articulator of another width") {
            StandIn.load = { _ in Pack.echo([sound], ("articulation", [41]), .float32, 0) }
            _ = try await CoreMLBackend(units: .cpuOnly).articulator(
                pack.compact(.articulator, [sound], shapes), threads: 1)
        }
    }

    static func lifeTimes(_ pack: Pack, _ folder: URL) async throws {
        func compiled() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("compiled-") }.count
        }
        expect(try compiled() == 0, "nothing is left behind by the backends before")
        StandIn.load = { _ in Pack.generator(160, .float32, 0) }
        do {
            let backend = try CoreMLBackend(units: .cpuOnly)
            let first = try await backend.generator(pack.generator(160), threads: 1)
            let second = try await backend.generator(pack.generator(160), threads: 1)
            expect(try compiled() == 1, "two sessions share one compiled package")
            expect(first.imageSize == second.imageSize, "both are open")
        }
        expect(try compiled() == 0, "the compiled package goes with its last user")
    }

    static func refusals(_ pack: Pack) async {
        func load(_ model: ModelFile) async throws {
            let backend = try CoreMLBackend(units: .cpuOnly)
            if model.description.role == .generator {
                _ = try await backend.generator(model, threads: 1)
            } else {
                _ = try await backend.audioEncoder(model, threads: 1)
            }
        }
        func refused(
            _ code: VisemeError.Code, _ words: [String], _ what: String, _ model: ModelFile, _ answer: StandIn.Model
        ) async {
            StandIn.load = { _ in answer }
            await refuses(code, words, what) { try await load(model) }
        }
        let good = Pack.encoder(.float32, [1, 512], 0)
        let mel = StandIn.Tensor("mel_spectrogram", [1, 1, 80, 16])
        let rows = StandIn.Tensor("var_242", [1, 512])

        var wrong = pack.encoder.description
        wrong.sha256 = String(repeating: "0", count: 64)
        await refused(.badData, ["SHA-256"], "another hash", ModelFile(wrong, at: pack.encoder.url), good)
        let missing = pack.encoder.url.deletingLastPathComponent().appending(path: "none.mlpackage")
        await refuses(.noInput, [], "absent") { try await load(ModelFile(pack.encoder.description, at: missing)) }
        await refuses(.unsupported, [".onnx"], "an ONNX file") {
            let url = missing.deletingPathExtension().appendingPathExtension("onnx")
            try await load(ModelFile(pack.encoder.description, at: url))
        }
        StandIn.load = { _ in throw CocoaError(.fileReadCorruptFile) }
        await refuses(.badData, ["cannot load", "encoder.mlpackage", "CPU"], "does not load") {
            try await load(pack.encoder)
        }

        for (inputs, outputs, words) in [
            (
                [StandIn.Tensor("mel_spectrogram", [1, 80, 16])], [rows],
                ["[B,1,80,16]", "'mel_spectrogram' [1,80,16]"]
            ),
            ([StandIn.Tensor("mel_spectrogram", [4, 1, 80, 16])], [rows], ["[4,1,80,16]"]),
            ([StandIn.Tensor("mel_spectrogram", [1, 1, 80, 16], .double)], [rows], ["65600", "Float32"]),
            ([StandIn.Tensor("mel_spectrogram", [], isImage: true)], [rows], ["feature of type 4"]),
            ([mel, StandIn.Tensor("speaker", [1, 8])], [rows], ["demands the input 'speaker'"]),
            ([StandIn.Tensor("mel", [1, 1, 80, 16])], [rows], ["'mel'", "the manifest names 'mel_spectrogram'"]),
            ([mel], [StandIn.Tensor("var_242", [1, 256])], ["[B,512]", "'var_242' [1,256]"]),
            ([mel], [], ["found none"]),
            ([mel], [rows, StandIn.Tensor("other", [1, 512])], ["'other' [1,512]"]),
        ] {
            await refused(
                .badData, words, "\(words)", pack.encoder,
                StandIn.Model(inputs: inputs, outputs: outputs, body: good.body))
        }
        // What is fine: an optional input more, a flexible batch that may be 1, another output more.
        for input in [
            StandIn.Tensor(
                "mel_spectrogram", [1, 1, 80, 16],
                ranges: [
                    NSRange(location: 1, length: 64), NSRange(location: 1, length: 1), NSRange(location: 80, length: 1),
                    NSRange(location: 16, length: 1),
                ]),
            StandIn.Tensor("mel_spectrogram", [16, 1, 80, 16], shapes: [[1, 1, 80, 16], [16, 1, 80, 16]]),
        ] {
            StandIn.load = { _ in
                StandIn.Model(
                    inputs: [input, StandIn.Tensor("extra", [1], isOptional: true)],
                    outputs: [rows, StandIn.Tensor("hidden", [1, 77])], body: good.body)
            }
            do { try await load(pack.encoder) } catch { expect(false, "flexible: \(error)") }
        }
        // Answers that do not fit.
        for (words, answer) in [
            (["NaN at element 0", "all 512 must be finite"], Pack.answer([1, 512], .nan)),
            (["came as [1, 256]"], Pack.answer([1, 256], 0)),
            (["of type 65600"], Pack.answer([1, 512], 0, .double)),
        ] {
            await refused(
                .badData, words, "\(words)", pack.encoder,
                StandIn.Model(inputs: [mel], outputs: [rows], body: { _ in ["var_242": answer()] }))
        }
        StandIn.load = { _ in
            StandIn.Model(inputs: [mel], outputs: [rows], body: { _ in throw CocoaError(.featureUnsupported) })
        }
        await refuses(.internal, ["Core ML failed at running"], "a failing run") { try await load(pack.encoder) }
        StandIn.load = { _ in good }
        await refuses(.badData, ["[B,6,S,S]"], "an encoder as a generator") { try await load(pack.generator(320)) }
    }
}
