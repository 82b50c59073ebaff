public import Foundation
import Viseme

/// A tensor as a model file stores it: name, shape, element type and bytes.
public struct StoredTensor: Sendable, Equatable {
    /// Its name in the file.
    public var name: String
    /// Lengths of the axes, outermost first; empty for a scalar.
    public let shape: [Int]
    /// How the elements are stored.
    public let type: ElementType
    /// The elements, row-major and little-endian: `count * type.byteCount` bytes.
    public let bytes: Data

    /// Names some bytes.
    ///
    /// - Throws: `.badData` when the shape does not belong to that many bytes.
    public init(name: String, shape: [Int], type: ElementType, bytes: Data) throws {
        guard let count = Self.count(of: shape),
            count.multipliedReportingOverflow(by: type.byteCount) == (bytes.count, false)
        else {
            throw VisemeError(
                .badData,
                "The tensor '\(name)' of shape \(shape) and type \(type.rawValue) has \(bytes.count) bytes.",
                hint: "The file is damaged: fetch or export it again.")
        }
        self.name = name
        self.shape = shape
        self.type = type
        self.bytes = bytes
    }

    /// Names some numbers.
    public init(name: String, shape: [Int], floats: [Float]) {
        precondition(Self.count(of: shape) == floats.count, "\(floats.count) elements for the shape \(shape)")
        self.name = name
        self.shape = shape
        type = .float32
        bytes = floats.withUnsafeBytes { Data($0) }
    }

    /// Number of elements.
    public var count: Int { bytes.count / type.byteCount }

    /// The product of `shape`, or nil when an axis is negative or the product does not fit.
    static func count(of shape: [Int]) -> Int? {
        var count = 1
        for length in shape {
            guard length >= 0 else { return nil }
            let (product, overflow) = count.multipliedReportingOverflow(by: length)
            if overflow { return nil }
            count = product
        }
        return count
    }

    /// The elements as Float32, row-major. Float64 and integers are rounded; the 16-bit types are exact.
    public func floats() -> [Float] {
        bytes.withUnsafeBytes { raw in
            func convert<T>(_: T.Type, _ value: (T) -> Float) -> [Float] {
                [Float](unsafeUninitializedCapacity: count) { out, filled in
                    for i in 0..<count {
                        out.initializeElement(
                            at: i, to: value(raw.loadUnaligned(fromByteOffset: i * MemoryLayout<T>.size, as: T.self)))
                    }
                    filled = count
                }
            }
            return switch type {
            case .float64: convert(UInt64.self) { Float(Double(bitPattern: UInt64(littleEndian: $0))) }
            case .float32: convert(UInt32.self) { Float(bitPattern: UInt32(littleEndian: $0)) }
            case .float16: convert(UInt16.self) { HalfPrecision.float(UInt16(littleEndian: $0)) }
            case .bfloat16: convert(UInt16.self) { Float(bitPattern: UInt32(UInt16(littleEndian: $0)) << 16) }
            case .int64: convert(Int64.self) { Float(Int64(littleEndian: $0)) }
            case .int32: convert(Int32.self) { Float(Int32(littleEndian: $0)) }
            case .int16: convert(Int16.self) { Float(Int16(littleEndian: $0)) }
            case .int8: convert(Int8.self) { Float($0) }
            case .uint8, .bool: convert(UInt8.self) { Float($0) }
            }
        }
    }
}

extension StoredTensor {
    /// The same numbers, stored as float32 or float16.
    ///
    /// - Throws: `.badData` when a finite number becomes infinite.
    public func converted(to type: ElementType) throws -> StoredTensor {
        guard type != self.type else { return self }
        let values = floats()
        switch type {
        case .float32: return StoredTensor(name: name, shape: shape, floats: values)
        case .float16:
            if let index = values.firstIndex(where: { $0.isFinite && abs($0) >= 65520 }) {
                throw VisemeError(
                    .badData, "The weight '\(name)' has the value \(values[index]) at \(index), Float16 ends at 65504.",
                    hint: "Keep this model in fp32.")
            }
            let halves = values.map { HalfPrecision.bits($0).littleEndian }
            return try StoredTensor(
                name: name, shape: shape, type: .float16, bytes: halves.withUnsafeBytes { Data($0) })
        default:
            throw VisemeError(.unsupported, "Weights are written as float32 or float16, not \(type.rawValue).")
        }
    }
}
