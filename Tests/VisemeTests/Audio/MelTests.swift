import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

/// (80, T) of samples taken in one piece.
private func mel(_ samples: [Float]) -> [Float] {
    var stream = MelStream(GeneratorFamily.syncTalk2D.mel)
    return transposed(stream.append(samples) + stream.finish())
}

@Suite("Mel filter bank")
struct MelFilterBankTests {
    @Test("It has the 739 weights of librosa's Slaney basis, and band 0 is right to the last printed digit")
    func weights() {
        let bands = GeneratorFamily.syncTalk2D.mel.filters.bands
        #expect(bands.count == 80)
        #expect(bands.reduce(0) { $0 + $1.weights.count } == 739)
        #expect(bands[0].first == 3)
        for (weight, expected) in zip(bands[0].weights, [0.00386959, 0.01934796, 0.02081245, 0.00533408]) {
            #expect(abs(weight - expected) < 5e-9)
        }
    }

    @Test(
        "The scale is Slaney's: linear to 1 kHz, logarithmic above",
        arguments: [(55.0, 0.825), (1000, 15), (6400, 42), (7600, 44.499575)])
    func scale(hz: Double, expected: Double) {
        #expect(abs(MelFilterBank.mel(hz) - expected) < 1e-6)
        #expect(abs(MelFilterBank.hertz(MelFilterBank.mel(hz)) - hz) < 1e-9)
    }

    @Test("It is librosa's, weight by weight")
    func basis() throws {
        let facts = try Golden.json(MelChecks.self, "mel-checks.json")
        let bands = GeneratorFamily.syncTalk2D.mel.filters.bands
        #expect(bands.map(\.first) == facts.first)
        #expect(bands.map(\.weights.count) == facts.counts)
        #expect(maxDifference(bands.flatMap(\.weights).map { Float($0) }, try Golden.floats("basis.f32")) <= 1e-8)
    }
}

/// What `make_golden.py` says of the filter bank and of two ports' mistakes.
private struct MelChecks: Decodable {
    struct Mistake: Decodable {
        var columns: Int
        var largest: Float
        var mean: Double
    }
    var first: [Int]
    var counts: [Int]
    var mistakes: [String: Mistake]
}

@Suite("Mel")
struct MelStreamTests {
    struct FrontEnd: Decodable {
        struct Case: Decodable {
            var name: String
            var samples: Int
            var columns: Int
            var windows: Int
            var frames: Int
        }
        var cases: [Case]
        var htkMaxDifference: Double
    }

    /// Float64 here and in librosa; the difference is the last bit of the golden's Float32.
    static let tolerance: Float = 1e-4

    @Test(
        "Our own sounds give librosa's mel, column count, window count and frame count",
        arguments: ["voice-a", "voice-b", "short", "odd"])
    func golden(name: String) throws {
        let fact = try #require(try Golden.json(FrontEnd.self, "front-end.json").cases.first { $0.name == name })
        let samples = try Golden.wave("\(name).wav")
        let ours = mel(samples)
        #expect(samples.count == fact.samples)
        #expect(ours.count == 80 * fact.columns)
        #expect(maxDifference(ours, try Golden.floats("\(name).mel.f32")) <= Self.tolerance)
        #expect(GeneratorFamily.syncTalk2D.melWindowCount(columns: fact.columns) == fact.windows)
        #expect(GeneratorFamily.syncTalk2D.frameCount(samples: fact.samples) == fact.frames)
    }

    @Test("The tolerance would notice the HTK scale by a factor of thousands")
    func toleranceIsMeaningful() throws {
        #expect(try Golden.json(FrontEnd.self, "front-end.json").htkMaxDifference > 1000 * Double(Self.tolerance))
    }

    @Test("Digital silence is exactly −4", arguments: [0, 1, 800, 2999, 3000, 16000, 320_000])
    func silence(count: Int) {
        let columns = mel([Float](repeating: 0, count: count))
        #expect(columns.allSatisfy { $0 == -4 })
    }

    @Test(
        "N samples give 1 + N/200 columns, and never fewer than 16",
        arguments: [0, 1, 199, 200, 2999, 3000, 3199, 3200, 32000, 32001])
    func columnCount(count: Int) {
        #expect(mel([Float](repeating: 0.1, count: count)).count == 80 * max(16, 1 + count / 200))
    }

    @Test("However the samples are cut, the columns are the same", arguments: 0..<24)
    func chunks(seed: Int) {
        var random = SeededRandom(seed)
        let samples = noise(Int.random(in: 1...9000, using: &random), seed: seed)
        let largest = [1, 3, 199, 200, 201, 800, 5000][seed % 7]
        var stream = MelStream(GeneratorFamily.syncTalk2D.mel)
        var columns: [Float] = []
        var offset = 0
        while offset < samples.count {
            let end = min(samples.count, offset + Int.random(in: 0...largest, using: &random))
            columns += stream.append(Array(samples[offset..<end]))
            offset = end
        }
        columns += stream.finish()
        #expect(transposed(columns) == mel(samples))
        #expect(stream.sampleCount == samples.count)
    }

    @Test("A sine and two impulses give librosa's mel")
    func signals() throws {
        let sine = (0..<16000).map { Float(0.5 * sin(2 * Double.pi * 440 * Double($0) / 16000)) }
        #expect(maxDifference(mel(sine), try Golden.floats("sine.mel.f32")) <= Self.tolerance)
        var impulses = [Float](repeating: 0, count: 4000)
        (impulses[0], impulses[2000]) = (1, -0.5)
        #expect(maxDifference(mel(impulses), try Golden.floats("impulses.mel.f32")) <= Self.tolerance)
    }

    /// Our distance from a wrong mel is the right one's, and large.
    @Test("We do not compute what two well-known ports compute", arguments: ["go", "short-fft"])
    func wrongOnes(port: String) throws {
        let mistake = try #require(try Golden.json(MelChecks.self, "mel-checks.json").mistakes[port])
        let right = mel(try Golden.wave("odd.wav"))
        let wrong = try Golden.floats("wrong-\(port).mel.f32")
        let columns = right.count / 80
        let ours = (0..<80).flatMap { right[$0 * columns..<$0 * columns + mistake.columns] }
        #expect(mistake.largest > 1000 * Self.tolerance)
        #expect(abs(maxDifference(ours, wrong) - mistake.largest) < 2 * Self.tolerance)
        let total = zip(ours, wrong).reduce(0.0) { $0 + Double(abs($1.0 - $1.1)) }
        #expect(abs(total / Double(wrong.count) - mistake.mean) < Double(Self.tolerance))
    }
}
