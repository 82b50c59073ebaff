import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Fourier transform")
struct FourierTransformTests {
    /// |X[k]| as the definition says, in O(n²).
    private func definition(_ x: [Double]) -> [Double] {
        (0...x.count / 2).map { k in
            var (re, im) = (0.0, 0.0)
            for (i, value) in x.enumerated() {
                // k·i modulo n keeps the angle exact.
                let angle = -2 * Double.pi * Double(k * i % x.count) / Double(x.count)
                re += value * cos(angle)
                im += value * sin(angle)
            }
            return (re * re + im * im).squareRoot()
        }
    }

    @Test(
        "Magnitudes equal the O(n²) definition",
        arguments: [1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 20, 25, 60, 128, 400, 512, 800])
    func equalsTheDefinition(length: Int) {
        var random = SeededRandom(length)
        let input = (0..<length).map { _ in Double.random(in: -1...1, using: &random) }
        var result = [Double](repeating: .nan, count: length / 2 + 1)
        input.withUnsafeBufferPointer { input in
            result.withUnsafeMutableBufferPointer { FourierTransform(length: length).magnitudes(of: input, into: $0) }
        }
        let worst = zip(result, definition(input)).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst < 1e-11 * Double(length + 10))
    }
}
