import Foundation
import Viseme

extension Image {
    /// The picture that `make_golden.py` makes too: wrapped gradients with noise from a linear congruential generator.
    static func picture(_ width: Int, _ height: Int, seed: UInt32) -> Image {
        var state = seed
        var bytes: [UInt8] = []
        bytes.reserveCapacity(width * height * 3)
        for i in 0..<width * height * 3 {
            state = state &* 1_664_525 &+ 1_013_904_223
            let (c, x, y) = (i % 3, i / 3 % width, i / 3 / width)
            bytes.append(UInt8(truncatingIfNeeded: (x * 3 + y * 5 + c * 40) / 2 + Int(state >> 24 & 63)))
        }
        return Image(width: width, height: height, bytes: bytes)
    }

    /// The bytes of a square.
    func bytes(in square: PixelArea) -> [UInt8] {
        var result: [UInt8] = []
        for y in square.y..<square.y + square.height {
            let start = (y * width + square.x) * 3
            result += bytes[start..<start + square.width * 3]
        }
        return result
    }
}

/// Peak signal-to-noise ratio of two byte arrays in dB; infinite when they are equal.
func psnr(_ a: [UInt8], _ b: [UInt8]) -> Double {
    precondition(a.count == b.count)
    var sum = 0.0
    for (x, y) in zip(a, b) {
        let d = Double(x) - Double(y)
        sum += d * d
    }
    return sum == 0 ? .infinity : 10 * log10(255 * 255 * Double(a.count) / sum)
}
