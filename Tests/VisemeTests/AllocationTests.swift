import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

/// A gate for the hot paths that no busy machine disturbs. A limit is what was measured and some for other compilers: a copy of a
/// picture or an array a frame more is seen.
@Suite("Allocations of the hot paths", .enabled(if: Allocations.areCounted, "only counted with glibc"))
struct AllocationTests {
    private let family = GeneratorFamily.compact

    @Test("One allocation is one, and none is none")
    func counting() {
        var kept: [[UInt8]] = []
        kept.reserveCapacity(20)
        #expect(Allocations.each(of: 10) { kept.append([UInt8](repeating: 1, count: 100)) } == 1)
        var sum = 0
        #expect(Allocations.each(of: 10) { sum += 1 } == 0)
    }

    @Test("Mel columns of a second of speech: a hundred, each with the transform's scratch memory")
    func mel() {
        let second = noise(16_000, seed: 1)
        var stream = MelStream(family.mel)
        #expect(Allocations.each(of: 20) { _ = stream.append(second) } <= 110)
    }

    @Test("From 40 ms of speech to the frame's feature window")
    func timeline() {
        let piece = noise(640, seed: 2)
        var timeline = SpeechTimeline(family, frames: 0..<Int.max, choice: family.featureWindow.choices[0])
        let row = [Float](repeating: 0.5, count: family.featureWindow.rowWidth)
        let each = Allocations.each(of: 200) {
            timeline.append(piece)
            while case let (_, count) = timeline.takeMelWindows(limit: 16), count > 0 {
                timeline.accept(rows: (0..<count).flatMap { _ in row })
            }
            while timeline.nextFrame() != nil {}
        }
        #expect(each <= 25)
    }

    @Test("Crop and generator input of a frame; pasting of a frame")
    func imaging() throws {
        let compositor = Compositor(GeneratorFamily.syncTalk2D.geometry)
        let square = PixelArea(x: 40, y: 20, side: 120)
        let frame = Image.picture(200, 160, seed: 1)
        let made = Allocations.each(of: 20) {
            let roi = compositor.roi(of: compositor.crop(frame, at: square))
            _ = compositor.generatorInput(roi: roi, masked: compositor.masked(roi))
        }
        #expect(made <= 55)
        let crop = compositor.crop(frame, at: square)
        let mouth = [Float](repeating: 0.5, count: 3 * 320 * 320)
        let pasted = try Allocations.each(of: 20) {
            _ = try compositor.paste(mouth: mouth, crop: crop, into: frame, at: square)
        }
        #expect(pasted <= 45)
    }

    @Test("Planning a frame")
    func planner() async throws {
        try await withTemporaryFolder { folder in
            var planner = DrawPlanner(try await fakeEngine(in: folder), first: 0)
            let window = [Float](repeating: 0.1, count: 512)
            var index = 0
            let each = Allocations.each(of: 100) {
                _ = planner.plan(FrameJob(index: index, featureWindow: window))
                index += 1
            }
            #expect(each <= 2)
        }
    }
}
