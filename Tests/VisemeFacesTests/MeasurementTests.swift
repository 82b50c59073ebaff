import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeFaces

@Suite("Figures of a mouth")
struct MeasurementTests {
    private func speech(_ count: Int, seed: Int) -> [Double] {
        var random = SeededRandom(seed)
        var (value, slow) = (0.0, 0.0)
        return (0..<count).map { _ in
            slow = 0.6 * slow + Double.random(in: -1...1, using: &random)
            value = 0.5 * value + 0.5 * slow
            return 0.05 + 0.02 * value
        }
    }

    @Test(
        "a mouth that is early or late by some frames is found, with an interval around it",
        arguments: [-4, -1, 0, 2, 5])
    func lag(_ frames: Int) {
        let filmed = speech(300, seed: 5)
        // drawn[k] belongs to filmed[k + frames].
        let drawn = (0..<300).map { k in (0..<300).contains(k + frames) ? filmed[k + frames] : 0.05 }
        let lag = LagEstimate(Array(0..<300), drawn: drawn, filmed: filmed).lag
        #expect(abs(lag.best - Double(frames)) < 0.2)
        #expect(lag.low <= lag.best && lag.best <= lag.high)
        #expect(lag.high - lag.low < 1)
        #expect(lag.frames == min(3, max(-3, frames)) || abs(frames) > 3)
    }

    @Test("a mouth that follows nothing has an interval that says so")
    func noLag() {
        let lag = LagEstimate(Array(0..<300), drawn: speech(300, seed: 8), filmed: speech(300, seed: 90_000)).lag
        #expect(lag.high - lag.low > 3)
    }

    @Test("gaps between frames are no neighbours")
    func gaps() {
        let numbers = Array(0..<50) + Array(90..<140)
        let filmed = speech(140, seed: 4)
        let drawn = numbers.map { $0 + 2 < 140 ? filmed[$0 + 2] : 0.05 }
        let lag = LagEstimate(numbers, drawn: drawn, filmed: numbers.map { filmed[$0] }).lag
        #expect(abs(lag.best - 2) < 0.3)
    }

    @Test("a constant mouth has no lag and no r, and nothing traps")
    func constant() {
        let lag = LagEstimate(Array(0..<40), drawn: [Double](repeating: 0.1, count: 40), filmed: speech(40, seed: 1))
            .lag
        #expect(lag.curve.allSatisfy { $0 == nil })
        #expect([Double](repeating: 1, count: 9).correlation([1, 2, 3, 4, 5, 6, 7, 8, 9]) == nil)
        let none = LagEstimate([], drawn: [], filmed: []).lag
        #expect(none.low == -8 && none.high == 8)
    }

    @Test("Full lips that touch are closed; a mouth that never closes does not move the level beyond its limit")
    func closedLevel() {
        let spoken = (0..<100).map { 0.05 + 0.03 * Double($0 % 7) }
        #expect(Measurement.closedLevel(spoken + [0.001, 0.002, 0.003]) == 0.018)
        #expect(abs(Measurement.closedLevel(spoken + [0.001, 0.02, 0.021, 0.022]) - 1.3 * 0.021) < 1e-12)
        #expect(Measurement.closedLevel(spoken) == 0.028)
        #expect(Measurement.closedLevel([]) == 0.018)
    }

    @Test("closures count where the filmed mouth closes between sounds, a frame early or late")
    func closures() {
        let (shut, open) = (0.005, 0.06)
        let filmed = [open, open, shut, shut, open, open, open, shut, open, open, shut, shut]
        let exact = Measurement.closures(Array(0..<12), filmed: filmed, drawn: filmed)
        #expect(exact == (2, 2))
        let late = [open, open, open, open, shut, open, open, open, open, open, shut, shut]
        #expect(Measurement.closures(Array(0..<12), filmed: filmed, drawn: late) == (2, 1))
        let never = [Double](repeating: open, count: 12)
        #expect(Measurement.closures(Array(0..<12), filmed: filmed, drawn: never) == (2, 0))
        #expect(Measurement.falseClosures(Array(0..<12), filmed: never, drawn: filmed) == (10, 4))
        #expect(Measurement.falseClosures(Array(0..<12), filmed: never, drawn: never) == (10, 0))
    }

    @Test("percentiles and deviations are NumPy's")
    func statistics() {
        let values = [4.0, 1, 3, 2]
        #expect(values.median == 2.5)
        #expect(abs(values.percentile(95) - 3.85) < 1e-9)
        #expect(abs(values.deviation - 1.118_033_988_7) < 1e-9)
        #expect([Double]().percentile(5) == 0)
    }

    @Test("speech is what is loud, and two frames around it")
    func speaking() {
        let loud = [Float](repeating: 0.2, count: 640)
        let quiet = [Float](repeating: 0.0001, count: 640)
        let samples = (0..<20).flatMap { (8..<12).contains($0) ? loud : quiet }
        let flags = ClipSpeech.speaking(samples, samplesPerFrame: 640, frames: 20)
        #expect(flags.indices.filter { flags[$0] } == Array(6..<14))
    }

    @Test("plots of too little, or of numbers that are none, are no damage")
    func plots() {
        #expect(LinePlot(x: [], lines: [], label: "s").svg.contains("too little"))
        let svg = LinePlot(x: [0, 1, 2], lines: [.init("a<b", [1, .nan, 2], "#000")], label: "s").svg
        #expect(svg.contains("a&lt;b"))
        #expect(!svg.contains("nan"))
    }
}
