import Foundation

/// Makes WAV files byte by byte.
struct Wave {
    /// How a sample is stored.
    enum Depth: String, CaseIterable, Sendable {
        case u8, s16, s24, s32, f32, f64

        var bytes: Int {
            switch self {
            case .u8: 1
            case .s16: 2
            case .s24: 3
            case .s32, .f32: 4
            case .f64: 8
            }
        }

        /// The largest error of a stored sample.
        var step: Double {
            switch self {
            case .u8: 1.0 / 128
            case .s16: 1.0 / 32_768
            default: 1e-6
            }
        }
    }

    var rate = 16_000
    var depth = Depth.s16
    /// Samples in −1…1, one array a channel.
    var channels: [[Double]]
    /// A LIST chunk of so many bytes stands before the data.
    var listBytes: Int?
    /// The data chunk says it is longer than it is by so many bytes.
    var missingBytes = 0

    /// The file.
    var bytes: [UInt8] {
        let isFloat = depth == .f32 || depth == .f64
        let frame = channels.count * depth.bytes
        var format = little(isFloat ? 3 : 1, 2) + little(channels.count, 2) + little(rate, 4)
        format += little(rate * frame, 4) + little(frame, 2) + little(depth.bytes * 8, 2)
        var body = Array("WAVEfmt ".utf8) + little(16, 4) + format
        if let listBytes {
            body += Array("LIST".utf8) + little(listBytes, 4) + Array("INFO".utf8)
            body += [UInt8](repeating: 65, count: max(0, listBytes - 4))
            // Chunks of odd length are padded to even.
            if listBytes % 2 == 1 { body.append(0) }
        }
        let count = channels.first?.count ?? 0
        var data: [UInt8] = []
        data.reserveCapacity(count * frame)
        for index in 0..<count { for channel in channels { data += encoded(channel[index]) } }
        body += Array("data".utf8) + little(data.count + missingBytes, 4) + data
        return Array("RIFF".utf8) + little(body.count + missingBytes, 4) + body
    }

    private func encoded(_ value: Double) -> [UInt8] {
        switch depth {
        case .u8: [UInt8(clamping: Int((value * 128 + 128).rounded()))]
        case .s16: little(Int(Int16(clamping: Int((value * 32_768).rounded()))), 2)
        case .s24: little(max(-8_388_608, min(8_388_607, Int((value * 8_388_608).rounded()))), 3)
        case .s32: little(Int(Int32(clamping: Int((value * 2_147_483_648).rounded()))), 4)
        case .f32: little(Int(Float(value).bitPattern), 4)
        case .f64: (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt64($0))) }
        }
    }

    private func little(_ value: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// A sine of 440 Hz.
    static func sine(_ count: Int, rate: Int, amplitude: Double = 0.5, frequency: Double = 440) -> [Double] {
        (0..<count).map { amplitude * sin(2 * .pi * frequency * Double($0) / Double(rate)) }
    }
}

extension Wave {
    /// A quiet tone at 16 kHz.
    static func tone(_ count: Int) -> Wave { Wave(channels: [sine(count, rate: 16_000, amplitude: 0.2)]) }
}
