import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

/// Pulls everything out of a timeline whose speech comes in `chunks`; rows are what `FakeEncoder` makes of the windows.
private func pull(
    _ samples: [Float], chunks: [Int] = [.max], frames: Range<Int> = 0..<Int.max,
    choice: FeatureWindow.Choice = .rows16, batch: Int = 16
) -> (melWindows: [Float], jobs: [FrameJob]) {
    var timeline = SpeechTimeline(.syncTalk2D, frames: frames, choice: choice)
    var (melWindows, jobs): ([Float], [FrameJob]) = ([], [])
    func drain() {
        while true {
            while let job = timeline.nextFrame() { jobs.append(job) }
            let (new, count) = timeline.takeMelWindows(limit: batch)
            guard count > 0 else { break }
            melWindows += new
            timeline.accept(rows: FakeEncoder.rows(new))
        }
    }
    var (offset, turn) = (0, 0)
    while offset < samples.count {
        let end = offset + min(samples.count - offset, chunks[turn % chunks.count])
        turn += 1
        timeline.append(Array(samples[offset..<end]))
        offset = end
        drain()
    }
    timeline.finish()
    drain()
    return (melWindows, jobs)
}

/// The contract's definitions, straightforwardly and all at once.
private enum Straightforward {
    static func windows(_ samples: [Float]) -> [Float] {
        var stream = MelStream(GeneratorFamily.syncTalk2D.mel)
        let columns = stream.append(samples) + stream.finish()
        let total = columns.count / 80
        let count = Int(Double(total - 16) / 80.0 * 25.0) + 2
        var windows: [Float] = []
        for k in 0..<count {
            let start = min(16 * k / 5, total - 16)
            for band in 0..<80 {
                for column in start..<start + 16 { windows.append(columns[column * 80 + band]) }
            }
        }
        return windows
    }

    static func jobs(_ samples: [Float], tile: Bool = false) -> [FrameJob] {
        let windows = windows(samples)
        let features = FakeEncoder.rows(windows)
        let silent = (0..<windows.count / 1280).map { k in windows[k * 1280..<(k + 1) * 1280].allSatisfy { $0 == -4 } }
        let isSilent = silent.prefix(1) + silent + silent.suffix(1)
        let audio = features.prefix(512) + features + features.suffix(512)
        func row(_ r: Int) -> [Float] {
            0 <= r && r < audio.count / 512 ? Array(audio[r * 512..<(r + 1) * 512]) : [Float](repeating: 0, count: 512)
        }
        return (0..<(samples.count + 639) / 640).map { frame in
            let rows = (0..<16).map { tile ? frame : frame - 8 + $0 }
            return FrameJob(
                index: frame, featureWindow: rows.flatMap(row),
                isSilent: rows.allSatisfy { isSilent.indices.contains($0) && isSilent[$0] })
        }
    }
}

@Suite("Speech timeline")
struct SpeechTimelineTests {
    @Test(
        "Window counts are those of Float64",
        arguments: [(16, 2), (161, 47), (1601, 497), (3591, 1119), (384, 116), (672, 206)])
    func windowCounts(columns: Int, count: Int) {
        #expect(GeneratorFamily.syncTalk2D.melWindowCount(columns: columns) == count)
    }

    @Test("Integer arithmetic would be wrong for 513 column counts below 100 000")
    func integerArithmeticDiffers() {
        let different = (16..<100_000).filter {
            GeneratorFamily.syncTalk2D.melWindowCount(columns: $0) != ($0 - 16) * 25 / 80 + 2
        }
        #expect(different.count == 513)
        #expect(different.prefix(5) == [384, 672, 752, 832, 1328])
    }

    @Test("Windows start at columns 0, 3, 6, 9, 12, 16, 19, and the last ones are shifted back")
    func windowStarts() {
        // Noise makes every column recognisable.
        var random = SeededRandom(7)
        let samples = (0..<32000).map { _ in Float.random(in: -1...1, using: &random) }
        var stream = MelStream(GeneratorFamily.syncTalk2D.mel)
        let columns = stream.append(samples) + stream.finish()
        let total = columns.count / 80
        #expect(total == 161)
        let windows = pull(samples).melWindows
        #expect(windows.count == 47 * 1280)
        // Band 0 of every column, and of every window's first row.
        let band = (0..<total).map { columns[$0 * 80] }
        let starts = (0..<47).map { k in
            let row = windows[k * 1280..<k * 1280 + 16]
            return (0...total - 16).first { row.elementsEqual(band[$0..<$0 + 16]) }
        }
        #expect(starts.prefix(7) == [0, 3, 6, 9, 12, 16, 19])
        #expect(starts.suffix(3) == [140, 144, 145])
    }

    @Test(
        "Windows and feature windows are the definitions', for any length",
        arguments: [1, 640, 641, 2999, 3000, 3001, 5119, 5120, 9600, 12347, 32000, 76600, 76601, 134_200])
    func equalsTheDefinitions(count: Int) {
        let samples = noise(count, seed: count)
        let result = pull(samples)
        #expect(result.melWindows == Straightforward.windows(samples))
        #expect(result.jobs == Straightforward.jobs(samples))
        #expect(pull(samples, choice: .tile).jobs == Straightforward.jobs(samples, tile: true))
    }

    @Test("However the audio is chunked, the windows and the frames are the same", arguments: 0..<32)
    func chunks(seed: Int) {
        var random = SeededRandom(1000 + seed)
        let samples = noise(Int.random(in: 1...24000, using: &random), seed: seed)
        let largest = [1, 7, 160, 640, 641, 3200, 16000, 48000][seed % 8]
        let sizes = (0..<50).map { _ in Int.random(in: 1...largest, using: &random) }
        let pieces = pull(samples, chunks: sizes, batch: Int.random(in: 1...20, using: &random))
        let whole = pull(samples)
        #expect(pieces.melWindows == whole.melWindows)
        #expect(pieces.jobs == whole.jobs)
    }

    @Test("A frame range alone equals that range of the whole", arguments: 0..<32)
    func ranges(seed: Int) {
        var random = SeededRandom(2000 + seed)
        let samples = noise(Int.random(in: 1...40000, using: &random), seed: seed)
        let total = GeneratorFamily.syncTalk2D.frameCount(samples: samples.count)
        let first = Int.random(in: 0..<total, using: &random)
        let end = Int.random(in: first + 1...total, using: &random)
        let mode: FeatureWindow.Choice = seed % 4 == 3 ? .tile : .rows16
        let part = pull(
            samples, chunks: [Int.random(in: 100...20000, using: &random)], frames: first..<end, choice: mode)
        #expect(part.jobs == Array(pull(samples, choice: mode).jobs[first..<end]))
        #expect(part.melWindows.count <= ((end - first) + 16) * 1280, "windows that no frame needs were encoded")
    }

    @Test("1 … 5000 samples give ceil(n/640) frames, numbered from 0")
    func frameCounts() {
        for count in 1...5000 {
            let jobs = pull([Float](repeating: 0.25, count: count)).jobs
            guard jobs.map(\.index) == Array(0..<(count + 639) / 640) else {
                Issue.record("\(count) samples gave \(jobs.count) frames")
                return
            }
        }
    }

    @Test("No sample gives no frame")
    func nothing() {
        #expect(pull([]).jobs.isEmpty)
    }

    @Test("The sums of feature windows are the Python reference's, first and last rows doubled, zeros outside")
    func goldenWindows() throws {
        struct Rows: Decodable {
            var rows: Int
            var windowSums: [[Double]]
        }
        let facts = try Golden.json(Rows.self, "rows.json")
        let rows = try Golden.floats("rows.f32")
        var timeline = SpeechTimeline(.syncTalk2D)
        timeline.append([Float](repeating: 0, count: 14600))  // 74 columns, 20 windows
        timeline.finish()
        #expect(timeline.takeMelWindows(limit: 100).count == facts.rows)
        timeline.accept(rows: rows)
        var sums: [Int: Double] = [:]
        while let job = timeline.nextFrame() { sums[job.index] = job.featureWindow.reduce(0) { $0 + Double($1) } }
        #expect(sums.count == 23)
        for fact in facts.windowSums where fact[0] < 23 {
            let sum = try #require(sums[Int(fact[0])])
            #expect(abs(sum - fact[1]) < 1e-6 * fact[1])
        }
    }

    @Test(
        "Memory does not grow with the audio: an hour passes through small buffers",
        arguments: [0..<Int.max, 100..<200])
    func bounded(frames: Range<Int>) {
        func held(_ timeline: SpeechTimeline) -> Int {
            func count(_ value: Any) -> Int {
                switch value {
                case let floats as [Float]: floats.count
                case let doubles as [Double]: doubles.count
                default: Mirror(reflecting: value).children.reduce(0) { $0 + count($1.value) }
                }
            }
            return count(timeline)
        }
        var timeline = SpeechTimeline(.syncTalk2D, frames: frames)
        let second = noise(16000, seed: 5)
        var largest = 0
        // Ten minutes: were anything kept, it would be some 50 times the bound.
        for _ in 0..<600 {
            timeline.append(second)
            while true {
                while timeline.nextFrame() != nil {}
                let (windows, count) = timeline.takeMelWindows(limit: 16)
                guard count > 0 else { break }
                timeline.accept(rows: FakeEncoder.rows(windows))
            }
            largest = max(largest, held(timeline))
        }
        #expect(largest < 40_000)
    }
}
