import Foundation

/// WAV files made byte by byte.
struct WaveFile: Sendable, CustomStringConvertible {
    enum Depth: String, Sendable { case u8, s16, s24, s32, f32 }

    var rate = 16000
    var depth = Depth.s16
    var channels = 1
    var frames: Int
    /// Frames of digital silence.
    var silence = 0..<0
    /// A LIST chunk stands before the data.
    var hasList = false
    /// So many bytes of the data that the header promises are missing.
    var missing = 0

    var description: String { "\(frames) × \(channels) \(depth.rawValue) at \(rate) Hz\(hasList ? " after LIST" : "")" }
    var seconds: Double { Double(frames) / Double(rate) }

    /// The file: a tone whose loudness swells three times a second, so that a mouth moves.
    var data: Data {
        let width = [.u8: 1, .s16: 2, .s24: 3, .s32: 4, .f32: 4][depth] ?? 2
        var samples: [UInt8] = []
        samples.reserveCapacity(frames * channels * width)
        for i in 0..<frames {
            let time = Double(i) / Double(rate)
            let tone =
                0.5 * sin(2 * .pi * 220 * time) * abs(sin(2 * .pi * 1.5 * time)) + 0.1 * sin(2 * .pi * 1900 * time)
            let value = silence.contains(i) ? 0 : tone
            let encoded: [UInt8] =
                switch depth {
                case .u8: [UInt8(value * 127 + 128)]
                case .s16: little(Int(value * 32767), 2)
                case .s24: little(Int(value * 8_388_607), 3)
                case .s32: little(Int(value * 2_147_483_647), 4)
                case .f32: little(Int(Float(value).bitPattern), 4)
                }
            for _ in 0..<channels { samples += encoded }
        }
        var body =
            Array("WAVEfmt ".utf8) + little(16, 4) + little(depth == .f32 ? 3 : 1, 2) + little(channels, 2)
            + little(rate, 4)
        body += little(rate * channels * width, 4) + little(channels * width, 2) + little(8 * width, 2)
        if hasList {
            body +=
                Array("LIST".utf8) + little(26, 4) + Array("INFOISFT".utf8) + little(14, 4)
                + Array("Lavf61.7.100\0\0".utf8)
        }
        body += Array("data".utf8) + little(samples.count, 4) + samples.dropLast(missing)
        return Data(Array("RIFF".utf8) + little(body.count + missing, 4) + body)
    }

    private func little(_ value: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
