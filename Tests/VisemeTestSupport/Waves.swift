public import Foundation

/// Sounds for tests.
public enum Waves {
    /// A swelling tone at 16 kHz.
    public static func tone(seconds: Double) -> [Int16] {
        (0..<Int(seconds * 16_000)).map { i in
            let time = Double(i) / 16_000
            return Int16(0.6 * sin(2 * .pi * 220 * time) * abs(sin(2 * .pi * 1.5 * time)) * 32_767)
        }
    }

    /// The bytes of samples, little-endian.
    public static func bytes(_ samples: [Int16]) -> Data { samples.map(\.littleEndian).withUnsafeBytes { Data($0) } }

    /// A WAV file of mono samples at 16 kHz.
    public static func wave(_ samples: [Int16]) -> Data {
        func little(_ value: Int, _ count: Int) -> Data {
            Data((0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
        }
        let body = bytes(samples)
        let format =
            little(16, 4) + little(1, 2) + little(1, 2) + little(16_000, 4) + little(32_000, 4) + little(2, 2)
            + little(16, 2)
        return Data("RIFF".utf8) + little(36 + body.count, 4) + Data("WAVEfmt ".utf8) + format + Data("data".utf8)
            + little(body.count, 4) + body
    }
}
