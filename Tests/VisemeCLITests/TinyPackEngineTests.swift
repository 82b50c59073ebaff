import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// Speech out of memory.
actor Samples: SpeechReader {
    private var rest: [Float]
    private let chunk: Int
    var warnings: [String] { [] }

    init(_ samples: [Float], chunk: Int = 16000) {
        rest = samples
        self.chunk = chunk
    }

    func read() async throws -> [Float]? {
        guard !rest.isEmpty else { return nil }
        defer { rest.removeFirst(min(chunk, rest.count)) }
        return Array(rest.prefix(chunk))
    }
}

@Suite(
    "The whole engine on the tiny pack",
    .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct TinyPackEngineTests: PackSuite {
    private func split(_ image: Image, _ square: PixelArea) -> (inside: [UInt8], outside: [UInt8]) {
        var (inside, outside): ([UInt8], [UInt8]) = ([], [])
        for y in 0..<image.height {
            for i in 0..<image.width * 3 {
                let x = i / 3
                let isInside =
                    x >= square.x && x < square.x + square.width && y >= square.y && y < square.y + square.height
                if isInside {
                    inside.append(image.bytes[y * image.width * 3 + i])
                } else {
                    outside.append(image.bytes[y * image.width * 3 + i])
                }
            }
        }
        return (inside, outside)
    }

    private func psnr(_ a: [UInt8], _ b: [UInt8]) -> Double {
        let sum = zip(a, b).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
        return sum == 0 ? .infinity : 10 * log10(255 * 255 * Double(a.count) / sum)
    }

    @Test(
        "An identity generator gives the source frames back: ≥ 45 dB in the square, no seam, blue stays blue, nothing else changes"
    )
    func identity() async throws {
        try await withTemporaryFolder { folder in
            let pack = try TinyPack(in: folder)
            try pack.setModel(.generator, golden: "identity.onnx")
            let engine = try await engine(pack.url)
            let template = try await FFmpeg().template(at: pack.url.appending(path: "frames/%06d.jpg"), memory: 1 << 30)
            let result = try await frames(engine, tone(16000))
            #expect(result.count == 25)
            for frame in result {
                let source = try await template.frame(at: engine.avatar.templateIndex(ofFrame: frame.index)).image()
                let image = try frame.image
                let (ours, theirs) = (split(image, frame.square), split(source, frame.square))
                #expect(ours.outside == theirs.outside, "frame \(frame.index)")
                #expect(psnr(ours.inside, theirs.inside) >= 45, "frame \(frame.index)")
                // The step over the left and the right edge of the square, on average, against the source's own.
                func step(_ image: Image) -> Double {
                    var sum = 0
                    for y in frame.square.y..<frame.square.y + frame.square.height {
                        for x in [frame.square.x, frame.square.x + frame.square.width] {
                            let at = (y * image.width + x) * 3
                            for c in 0..<3 { sum += abs(Int(image.bytes[at + c]) - Int(image.bytes[at - 3 + c])) }
                        }
                    }
                    return Double(sum) / Double(frame.square.width * 6)
                }
                #expect(step(image) <= step(source) + 0.5, "frame \(frame.index)")
                // The blue patch of the drawing.
                let at = (72 * 160 + 61) * 3
                #expect(
                    image.bytes[at] > 150 && image.bytes[at + 2] < 80,
                    "blue is blue in frame \(frame.index)")
            }
        }
    }

    @Test("The mouth follows the sound: silence, a tone and noise give different mouths")
    func hears() async throws {
        let engine = try await engine(TinyPack.original)
        let silent = try await frames(engine, [Float](repeating: 0, count: 32000))
        let loud = try await frames(engine, tone(32000))
        var state: UInt32 = 1
        let noise = (0..<32000).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(Int32(bitPattern: state)) / Float(1 << 32)
        }
        let other = try await frames(engine, noise)
        #expect(silent.count == 50 && loud.count == 50)
        #expect(try zip(silent, loud).filter { try $0.0.image == $0.1.image }.count < 5)
        #expect(try zip(other, loud).filter { try $0.0.image == $0.1.image }.count < 10)
        // Digital silence in the middle is the same mouth wherever the template is the same.
        #expect(try silent[12].image == silent[22].image)
    }

    @Test("However the samples come, real models give the same bytes", arguments: [1, 333, 640, 5000])
    func chunks(size: Int) async throws {
        let engine = try await engine(TinyPack.original)
        let whole = try await frames(engine, tone(12000), chunk: 12000)
        #expect(try await frames(engine, tone(12000), chunk: size).map { try $0.image } == whole.map { try $0.image })
    }

    @Test("A range alone equals that range of the whole")
    func range() async throws {
        let engine = try await engine(TinyPack.original)
        let whole = try await frames(engine, tone(32000))
        var part: [Frame] = []
        for try await frame in engine.frames(for: Samples(tone(32000)), range: 21..<34) { part.append(frame) }
        #expect(part.map(\.index) == Array(21..<34))
        #expect(try part.map { try $0.image } == whole[21..<34].map { try $0.image })
    }
}

/// The default avatar's own golden tensors: what the training framework answered.
@Suite(
    "The default avatar's golden tensors",
    .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct RobinGoldenTests {
    private static let pack = Repository.inheritedRobin

    private func floats(_ name: String) throws -> [Float] {
        try Data(contentsOf: Self.pack.appending(path: name)).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
    }

    @Test("Both models answer what PyTorch answered, within the pack's tolerances", arguments: ModelRole.drawing)
    func equalsPyTorch(role: ModelRole) async throws {
        let avatar = try Avatar(contentsOf: Self.pack)
        try avatar.verify()
        let golden = try #require(avatar.manifest.golden?.first { $0.role == role })
        let expected = try floats(golden.output)
        let backend = try ONNXBackend(libraryPath: #require(Repository.onnxRuntime as String?))
        let result: [Float]
        switch role {
        case .audioEncoder:
            let windows = try floats(golden.inputs[0])
            result = try await backend.audioEncoder(avatar.model(role), threads: 1).encode(
                windows, count: windows.count / 1280)
        case .generator:
            let roi = Image(
                width: 320, height: 320,
                bytes: [UInt8](try Data(contentsOf: Self.pack.appending(path: golden.inputs[0]))))
            let compositor = Compositor(avatar.manifest.geometry)
            result = try await backend.generator(avatar.model(role), threads: 1).generate(
                image: compositor.generatorInput(roi: roi, masked: compositor.masked(roi)),
                audio: floats(golden.inputs[1]))
        case .articulator: return  // this pack has none
        }
        try #require(result.count == expected.count)
        let worst = zip(result, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
        #expect(Double(worst) <= golden.tolerance)
    }
}
