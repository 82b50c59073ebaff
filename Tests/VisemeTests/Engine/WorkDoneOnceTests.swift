import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Work done once")
struct WorkDoneOnceTests {
    /// Noise, four seconds of silence, noise.
    private let samples = noise(30000, seed: 1) + [Float](repeating: 0, count: 64000) + noise(30000, seed: 2)

    private func frames(
        in folder: URL, keptFrames: Int, memory: Int, cores: Int = 2, range: Range<Int> = 0..<Int.max,
        images: Gauge? = nil, speech: [Float]? = nil
    ) async throws -> [Frame] {
        var backend = FakeBackend()
        backend.generator.keptFrames = keptFrames
        backend.generator.images = images
        let engine = try await fakeEngine(in: folder, backend: backend, cores: cores, memory: memory)
        var result: [Frame] = []
        for try await frame in engine.frames(for: FakeSpeech(speech ?? samples), range: range) { result.append(frame) }
        return result
    }

    private func counts(_ frames: [Frame]) -> [Frame.Origin: Int] {
        Dictionary(grouping: frames, by: \.origin).mapValues(\.count)
    }

    @Test("What is kept, on however many cores, changes no pixel", arguments: [1, 2, 3])
    func samePixels(cores: Int) async throws {
        try await withTemporaryFolder { folder in
            let plain = try await frames(in: folder, keptFrames: 0, memory: 0, cores: cores)
            #expect(counts(plain) == [.generated: plain.count])
            for keptFrames in [0, 3, 5] {
                let kept = try await frames(in: folder, keptFrames: keptFrames, memory: 200_000_000, cores: cores)
                #expect(
                    try kept.map { try $0.image } == plain.map { try $0.image }, "\(keptFrames) template frames kept")
                #expect(counts(kept)[.silence, default: 0] > 50)
            }
            let part = try await frames(in: folder, keptFrames: 5, memory: 200_000_000, cores: cores, range: 60..<120)
            #expect(try part.map { try $0.image } == plain[60..<120].map { try $0.image })
        }
    }

    /// The regression gate: these numbers depend on the template's length, the silence and the cores alone.
    @Test("The counters are exact, every time")
    func counters() async throws {
        try await withTemporaryFolder { folder in
            for _ in 0..<5 {
                let images = Gauge()
                let frames = try await frames(in: folder, keptFrames: 5, memory: 200_000_000, images: images)
                let counts = counts(frames)
                #expect(frames.count == 194)
                // Two cores, four frames under way: at each end of the five template frames one comes back before it is kept.
                #expect(counts == Self.expected, "\(counts)")
                #expect(images.total == Self.expected[.generated])
            }
        }
    }

    private static let expected: [Frame.Origin: Int] = [.generated: 36, .keptFeatures: 86, .silence: 72]

    @Test("Only the first template frames are kept when not all fit")
    func someFit() async throws {
        try await withTemporaryFolder { folder in
            let images = Gauge()
            let frames = try await frames(in: folder, keptFrames: 2, memory: 200_000_000, images: images)
            let kept = frames.filter { $0.origin == .keptFeatures }.map { Avatar.pingPong($0.index, count: 5) }
            #expect(Set(kept) == [0, 1])
            // Silent squares of 16 × 16 pixels: an eighth of 5 000 bytes holds none, of 16 000 two.
            for (memory, template) in [(5000, []), (16000, [0, 1] as Set<Int>)] {
                let frames = try await self.frames(in: folder, keptFrames: 0, memory: memory)
                let silent = frames.filter { $0.origin == .silence }.map { Avatar.pingPong($0.index, count: 5) }
                #expect(Set(silent) == template)
            }
        }
    }

    @Test("What is silent to the ear but not digital silence is generated")
    func almostSilent() async throws {
        try await withTemporaryFolder { folder in
            let quiet = noise(64000, seed: 5).map { $0 * 1e-2 }
            let frames = try await frames(in: folder, keptFrames: 5, memory: 200_000_000, speech: quiet)
            #expect(counts(frames)[.silence] == nil)
        }
    }

    @Test("The frames of digital silence are those whose sixteen rows hear nothing")
    func silentFrames() {
        var timeline = SpeechTimeline(.syncTalk2D)
        timeline.append([Float](repeating: 0, count: 32000))
        timeline.finish()
        let (windows, count) = timeline.takeMelWindows(limit: .max)
        #expect(windows.allSatisfy { $0 == GeneratorFamily.syncTalk2D.mel.silence })
        timeline.accept(rows: [Float](repeating: 1, count: count * 512))
        var silent: [Int] = []
        while let frame = timeline.nextFrame() {
            if frame.isSilent { silent.append(frame.index) }
            #expect(frame.isSilent == frame.featureWindow.allSatisfy { $0 == 1 }, "frame \(frame.index)")
        }
        // 47 encoder frames give 49 rows: those of frame k are k − 8 … k + 7.
        #expect(silent == Array(8...41))
    }
}
