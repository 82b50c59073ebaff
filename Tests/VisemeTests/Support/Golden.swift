import Foundation

/// The golden files beside these tests; `Tests/Fixtures/make_golden.py` makes them.
enum Golden {
    static func data(_ name: String) throws -> Data {
        try Data(contentsOf: Bundle.module.bundleURL.appending(path: "Golden/\(name)"))
    }

    static func floats(_ name: String) throws -> [Float] { floats(in: try data(name)) }

    static func json<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
        try JSONDecoder().decode(type, from: data(name))
    }

    /// The samples of a mono PCM16 WAV, in −1…1, whatever chunks come before its data.
    static func wave(_ name: String) throws -> [Float] { try samples(ofWave: data(name)) }

    private static func floats(in data: Data) -> [Float] {
        data.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
    }

    private static func samples(ofWave data: Data) throws -> [Float] {
        struct NotAWave: Error {}
        return try data.withUnsafeBytes { bytes in
            var offset = 12
            while offset + 8 <= bytes.count {
                let size = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)))
                if bytes[offset..<offset + 4].elementsEqual("data".utf8) {
                    let count = min(size, bytes.count - offset - 8) / 2
                    return (0..<count).map {
                        Float(
                            Int16(
                                littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 8 + $0 * 2, as: Int16.self)))
                            / 32768
                    }
                }
                offset += 8 + size + size % 2
            }
            throw NotAWave()
        }
    }
}

/// The largest absolute difference between two arrays of one length.
func maxDifference(_ a: [Float], _ b: [Float]) -> Float {
    precondition(a.count == b.count)
    return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
}

/// (columns, bands) → (bands, columns), as the golden files store a mel.
func transposed(_ columns: [Float]) -> [Float] {
    let steps = columns.count / 80
    return (0..<80 * steps).map { columns[$0 % steps * 80 + $0 / steps] }
}
