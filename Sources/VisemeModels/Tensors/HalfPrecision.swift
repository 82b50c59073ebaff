/// IEEE 754 binary16, by bit patterns: Swift's `Float16` does not exist on Intel Macs.
enum HalfPrecision {
    /// The value of a bit pattern, exactly.
    static func float(_ half: UInt16) -> Float {
        let sign = UInt32(half & 0x8000) << 16
        let exponent = UInt32(half >> 10) & 0x1F
        let fraction = UInt32(half & 0x3FF)
        switch exponent {
        case 0: return Float(bitPattern: sign | 0x3F80_0000) * Float(fraction) * 0x1p-24  // zero and subnormals
        case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }

    /// The nearest bit pattern, ties to even; beyond 65 519 it is infinite.
    static func bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude > 0x7F80_0000 { return sign | 0x7E00 }  // NaN
        if magnitude >= 0x477F_F000 { return sign | 0x7C00 }  // 65 520 and more
        if magnitude < 0x3880_0000 {  // below 2⁻¹⁴: steps of 2⁻²⁴
            let steps = (Float(bitPattern: magnitude) * 0x1p24).rounded(.toNearestOrEven)
            return sign | UInt16(steps)
        }
        let rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1)
        return sign | UInt16(truncatingIfNeeded: (rounded - 0x3800_0000) >> 13)
    }
}
