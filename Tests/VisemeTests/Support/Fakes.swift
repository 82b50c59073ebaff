import Dispatch
import Foundation
import Synchronization

@testable import Viseme

/// Counts what runs at the same time.
final class Gauge: Sendable {
    private let state = Mutex((now: 0, most: 0, total: 0))

    var now: Int { state.withLock { $0.now } }
    var most: Int { state.withLock { $0.most } }
    var total: Int { state.withLock { $0.total } }

    func enter() {
        state.withLock {
            $0.now += 1
            $0.total += 1
            $0.most = max($0.most, $0.now)
        }
    }

    func leave() { state.withLock { $0.now -= 1 } }
}

private let mainQueue: DispatchSpecificKey<Bool> = {
    let key = DispatchSpecificKey<Bool>()
    DispatchQueue.main.setSpecific(key: key, value: true)
    return key
}()

/// Whether the main actor is busy with this. (On Linux its queue is not bound to the main thread.)
func isOnMainActor() -> Bool { DispatchQueue.getSpecific(key: mainQueue) == true }

/// Notes where work is done.
final class Places: Sendable {
    private let state = Mutex((noted: 0, onMain: 0))

    var noted: Int { state.withLock { $0.noted } }
    var onMain: Int { state.withLock { $0.onMain } }

    func note() {
        let isMain = isOnMainActor()
        state.withLock { $0 = ($0.noted + 1, $0.onMain + (isMain ? 1 : 0)) }
    }
}

/// Speech out of memory, in chunks of the sizes given, over and over.
actor FakeSpeech: SpeechReader {
    private let total: Int
    private let make: @Sendable (Range<Int>) -> [Float]
    private let sizes: [Int]
    private var offset = 0
    private(set) var reads = 0

    var warnings: [String] { [] }

    init(_ samples: [Float], chunks: [Int] = [16000]) {
        total = samples.count
        make = { Array(samples[$0]) }
        sizes = chunks
    }

    /// Speech that is computed as it is read, for lengths that should not be in memory.
    init(count: Int, chunks: [Int] = [16000], make: @escaping @Sendable (Range<Int>) -> [Float]) {
        total = count
        self.make = make
        sizes = chunks
    }

    func read() async throws -> [Float]? {
        guard offset < total else { return nil }
        let end = min(total, offset + sizes[reads % sizes.count])
        reads += 1
        defer { offset = end }
        return make(offset..<end)
    }
}

let fakeRuntime = RuntimeDescription(runtime: "fake", version: "1", provider: "CPU", threads: 1)

/// Every feature is a value of the window itself: any wrong window gives wrong rows.
struct FakeEncoder: AudioEncoder {
    var isBroken = false
    var places: Places?
    var runtime: RuntimeDescription { fakeRuntime }

    func encode(_ windows: [Float], count: Int) async throws -> [Float] {
        places?.note()
        return isBroken ? [Float](repeating: .nan, count: count * 512) : Self.rows(windows)
    }

    static func rows(_ windows: [Float]) -> [Float] {
        [Float](unsafeUninitializedCapacity: windows.count / 1280 * 512) { rows, count in
            count = windows.count / 1280 * 512
            for i in 0..<count { rows[i] = windows[i / 512 * 1280 + i % 512 * 5 / 2] + 4 }
        }
    }
}

/// Lights the roi with what it hears.
struct FakeGenerator: Generator {
    var side = 16
    var imageSize: PixelSize { PixelSize(square: side) }
    var delay: Duration?
    var gauge: Gauge?
    /// The number of the call that fails, counted from 1.
    var failsAt: Int?
    var isIdentity = false
    /// Template frames whose features are kept; the feature is the image itself.
    var keptFrames = 0
    /// Values that its mouths have too many.
    var extraValues = 0
    var places: Places?
    /// Counts images that were asked for.
    var images: Gauge?
    var runtime: RuntimeDescription { fakeRuntime }

    var keeping: TemplateKeeping {
        keptFrames == 0
            ? .nothing(because: "it is a fake")
            : TemplateKeeping(tensors: ["image"], bytesPerFrame: 6 * side * side * 4, frames: keptFrames)
    }

    func prepare(_ image: () throws -> [Float], kept: [Tensor]?) async throws -> TemplateFeatures {
        if let kept { return TemplateFeatures(fresh: [], kept: kept) }
        images?.enter()
        return TemplateFeatures(fresh: [], kept: [Tensor("image", [1, 6, side, side], try image())])
    }

    func generate(_ features: TemplateFeatures, audio: [Float]) async throws -> [Float] {
        try await generate(image: features.kept.first?.floats ?? [], audio: audio)
    }

    func generate(image: [Float], audio: [Float]) async throws -> [Float] {
        places?.note()
        gauge?.enter()
        defer { gauge?.leave() }
        if let delay { try await Task.sleep(for: delay) }
        if let failsAt, let gauge, gauge.total >= failsAt {
            throw VisemeError(.badData, "the fake generator fails at call \(failsAt)")
        }
        let roi = image.prefix(3 * side * side)
        guard !isIdentity else { return Array(roi) }
        var light: Float = 0
        for (i, value) in audio.enumerated() { light += value * Float(i % 7 + 1) }
        light = (light / 40000).truncatingRemainder(dividingBy: 1)
        return roi.map { $0 * 0.5 + light * 0.5 } + [Float](repeating: 0, count: extraValues)
    }
}

/// Fake models for any pack.
struct FakeBackend: InferenceBackend {
    let name = "fake"
    var encoder = FakeEncoder()
    var generator = FakeGenerator()
    var places: Places?

    func audioEncoder(_ model: ModelFile, threads: Int) async throws -> any AudioEncoder {
        places?.note()
        return encoder
    }

    func generator(_ model: ModelFile, threads: Int) async throws -> any Generator {
        places?.note()
        return generator
    }
}

/// Template frames of a formula.
struct FakeTemplate: TemplateReader {
    var frameCount: Int
    var width: Int
    var height: Int
    var gauge: Gauge?
    var givesOtherSize = false

    func frame(at index: Int) async throws -> any Picture {
        gauge?.enter()
        defer { gauge?.leave() }
        let image = Image(width: width, height: height, grey: UInt8(60 + index % 100))
        return givesOtherSize ? OddPicture(image: image) : image
    }
}

/// Gives a column less than it was asked for.
struct OddPicture: Picture {
    let image: Image
    var width: Int { image.width }
    var height: Int { image.height }
    var byteCount: Int { image.byteCount }

    func image(of area: PixelArea) -> Image {
        image.image(of: PixelArea(x: area.x, y: area.y, width: area.width - 1, height: area.height))
    }
}

/// Media without files.
struct FakeMedia: MediaBackend {
    var template = FakeTemplate(frameCount: 5, width: 40, height: 30)
    var speech: FakeSpeech?
    var writer = FakeWriter()

    func speech(at url: URL) async throws -> any SpeechReader {
        guard let speech else { throw VisemeError(.noInput, "no speech at \(url.path)") }
        return speech
    }

    func template(at url: URL, memory: Int) async throws -> any TemplateReader { template }
    func writer(_ request: VideoRequest) async throws -> any VideoWriter { writer }
}

/// Counts the frames that it is given.
actor FakeWriter: VideoWriter {
    private(set) var frames = 0
    private(set) var isFinished = false
    private(set) var isCancelled = false

    func append(_ frame: any Picture) async throws { frames += 1 }

    func finish() async throws -> VideoReport {
        isFinished = true
        return VideoReport(frames: frames, videoSeconds: Double(frames) / 25, audioSeconds: 0, sound: "none")
    }

    func cancel() async { isCancelled = true }
}

/// A judge whose verdicts are given.
struct FakeJudge: ModelJudge {
    var verdicts: [ModelRole: TrainingVerdict] = [:]

    func verdict(on model: ModelFile) async throws -> TrainingVerdict {
        verdicts[model.description.role] ?? TrainingVerdict(.trained)
    }
}

/// An engine of fakes on a pack that is written into `folder`.
func fakeEngine(
    in folder: URL, backend: FakeBackend = FakeBackend(), media: FakeMedia = FakeMedia(), cores: Int = 2,
    pack: TestPack = TestPack(), memory: Int = 200_000_000, judge: FakeJudge = FakeJudge(), allowUntrained: Bool = false
) async throws -> Engine {
    try await Engine(
        Avatar(contentsOf: pack.write(into: folder, name: "\(UUID().uuidString).avatar")), backend: backend,
        media: media, judge: judge, memory: memory, parallelism: Parallelism(cores: cores),
        allowUntrained: allowUntrained)
}
