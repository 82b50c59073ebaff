/// The element types of a multi-array that this backend reads and writes.
enum TensorElement: String, Sendable {
    case float32, float16

    /// Bytes of one element.
    var byteCount: Int {
        switch self {
        case .float32: 4
        case .float16: 2
        }
    }
}

/// IEEE 754 binary16 by bit patterns: Swift's `Float16` does not exist on Intel Macs.
enum Half {
    /// The value of a bit pattern, exactly. Without branches, so that a row of them is vectorised.
    static func value(_ half: UInt16) -> Float {
        // Times 2^(127−15) for the exponent's bias; subnormals come out right.
        let magnitude = Float(bitPattern: UInt32(half & 0x7FFF) << 13) * 0x1p112
        // Infinity and NaN keep an exponent of all ones.
        let special: UInt32 = half & 0x7C00 == 0x7C00 ? 0x7F80_0000 : 0
        return Float(bitPattern: magnitude.bitPattern | special | UInt32(half & 0x8000) << 16)
    }

    /// The nearest bit pattern, ties to even. From 65 520 on it is infinite, as the standard has it.
    static func bits(_ value: Float) -> UInt16 {
        let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
        let magnitude = value.magnitude
        if magnitude.isNaN { return sign | 0x7E00 }
        if magnitude >= 65520 { return sign | 0x7C00 }
        if magnitude < 0x1p-14 { return sign | UInt16((magnitude * 0x1p24).rounded(.toNearestOrEven)) }
        let bits = magnitude.bitPattern - 0x3800_0000  // the exponent's bias: 127 → 15
        return sign | UInt16((bits + 0xFFF + (bits >> 13 & 1)) >> 13)
    }
}
