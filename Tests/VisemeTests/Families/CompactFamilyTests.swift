import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("The compact family")
struct CompactFamilyTests {
    private let family = GeneratorFamily.compact

    @Test("Its tensors hold its windows, and it hears 242.5 ms ahead")
    func numbers() {
        let counts = [family.audioEncoder[.mel], family.generator[.audio]].map {
            $0.description().shape.map(\.length).reduce(1, *)
        }
        #expect(counts == [family.melWindowSize, family.featureWindow.count])
        #expect(family.samplesPerFrame == 640 && family.mel.columnsPerSecond == 100)
        #expect(family.featureWindow.rowsAfter == 4 && family.shortestLookahead == -2)
        #expect(family.lookaheadDuration == .microseconds(242_500))
        #expect(family.lookahead(within: .milliseconds(242)) == 3)
        #expect(family.lookahead(within: .milliseconds(243)) == 4)
    }

    @Test("Our own sounds give librosa's mel, however they are cut", arguments: ["short", "odd"], [1, 333, 100_000])
    func mel(name: String, size: Int) throws {
        let samples = try Golden.wave("\(name).wav")
        var stream = MelStream(family.mel)
        var columns: [Float] = []
        for start in stride(from: 0, to: samples.count, by: size) {
            columns += stream.append(Array(samples[start..<min(samples.count, start + size)]))
        }
        columns += stream.finish()
        let golden = try Golden.floats("compact-\(name).mel.f32")
        #expect(columns.count == golden.count && columns.count == 80 * (1 + samples.count / 160))
        #expect(maxDifference(transposed(columns), golden) <= 1e-4)
    }

    @Test("Digital silence is exactly −4, and the shortest speech has a mel window", arguments: [0, 1, 1120, 16000])
    func silence(count: Int) {
        var stream = MelStream(family.mel)
        let columns = stream.append([Float](repeating: 0, count: count)) + stream.finish()
        #expect(columns.allSatisfy { $0 == -4 } && columns.count == 80 * max(8, 1 + count / 160))
    }

    @Test("Audio rows are the feature rows; those outside of the speech are zeros")
    func rows() {
        let shape = family.featureWindow
        #expect((-1...4).map { shape.featureRow(ofAudioRow: $0, total: 4) } == [nil, 0, 1, 2, 3, nil])
        #expect((-1...4).map { shape.featureRow(ofAudioRow: $0, total: nil) } == [nil, 0, 1, 2, 3, 4])
        #expect((-1...3).map(shape.rowsNeeded(forAudioRow:)) == [0, 1, 2, 3, 4])
        #expect(shape.audioRows(ofFrame: 3, .rows32) == Array(-24...7))
    }

    @Test("Frame k hears the rows k − 27 … k + 4, in order")
    func featureWindows() throws {
        var timeline = SpeechTimeline(family)
        timeline.append([Float](repeating: 0.1, count: 640 * 40))
        timeline.finish()
        let (windows, count) = timeline.takeMelWindows(limit: .max)
        #expect(count == 40 && windows.count == 40 * family.melWindowSize)
        timeline.accept(rows: (0..<count).flatMap { [Float](repeating: Float($0 + 1), count: 96) })
        var heard: [[Float]] = []
        while let job = timeline.nextFrame() {
            heard.append((0..<32).map { job.featureWindow[$0 * 96 + 95] })
        }
        #expect(heard.count == 40)
        for (k, rows) in heard.enumerated() {
            #expect(rows == (k - 27...k + 4).map { (0..<40).contains($0) ? Float($0 + 1) : 0 }, "frame \(k)")
        }
    }

    @Test("Its pictures are oblong, in steps of 16")
    func sizes() {
        let pictures = family.generator.pictures
        for size in [PixelSize(width: 192, height: 128), PixelSize(width: 320, height: 224), PixelSize(square: 512)] {
            #expect(pictures.contains(size))
        }
        for size in [PixelSize(width: 176, height: 128), PixelSize(width: 200, height: 128), PixelSize(square: 528)] {
            #expect(!pictures.contains(size))
        }
    }

    @Test("A size is a number in JSON where it is a square, and two where it is not")
    func json() throws {
        let sizes = [PixelSize(square: 320), PixelSize(width: 320, height: 224)]
        let data = try JSONEncoder().encode(sizes)
        #expect(String(decoding: data, as: UTF8.self) == "[320,[320,224]]")
        #expect(try JSONDecoder().decode([PixelSize].self, from: data) == sizes)
        for text in ["[[1]]", "[\"a\"]", "[[1,2,3]]", "[{}]"] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode([PixelSize].self, from: Data(text.utf8)) }
        }
    }
}
