import Foundation
import Viseme

extension MILSpecValue {
    /// Shape and element type of a tensor value.
    func tensorType(_ name: String) throws -> (shape: [Int], type: MILSpecDataType) {
        guard case .tensorType(let tensor)? = type.type else {
            throw VisemeError(.unsupported, "The value '\(name)' is not a tensor.")
        }
        return (try tensor.shape(name), tensor.dataType)
    }

    /// The numbers of an immediate value: integers, floats or truth values. Nil for anything else.
    var numbers: [Double]? {
        guard case .immediateValue(let immediate)? = value, case .tensor(let tensor)? = immediate.value else {
            return nil
        }
        switch tensor.value {
        case .floats(let list)?: return list.values.map(Double.init)
        case .ints(let list)?: return list.values.map(Double.init)
        case .longInts(let list)?: return list.values.map(Double.init)
        case .doubles(let list)?: return list.values
        case .bools(let list)?: return list.values.map { $0 ? 1 : 0 }
        case .bytes(let list)?:
            guard case .tensorType(let shape)? = type.type, shape.dataType == .float16, list.values.count % 2 == 0
            else { return nil }
            return list.values.withUnsafeBytes { raw in
                (0..<raw.count / 2).map {
                    Double(
                        HalfPrecision.float(
                            UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self))))
                }
            }
        default: return nil
        }
    }

    /// A single string.
    var text: String? {
        guard case .immediateValue(let immediate)? = value, case .tensor(let tensor)? = immediate.value,
            case .strings(let list)? = tensor.value, list.values.count == 1
        else { return nil }
        return list.values[0]
    }

    /// The tensor, out of the weight file or out of the program itself.
    func tensor(_ name: String, weights: WeightFile?) throws -> StoredTensor {
        let (shape, type) = try tensorType(name)
        let types: [MILSpecDataType: ElementType] = [
            .float16: .float16, .float32: .float32, .int32: .int32, .bool: .bool, .int8: .int8, .uint8: .uint8,
            .bfloat16: .bfloat16,
        ]
        guard let element = types[type] else {
            throw VisemeError(
                .unsupported, "The value '\(name)' has the Core ML type \(type), which Viseme does not read.")
        }
        if case .blobFileValue(let blob)? = value {
            guard let weights else {
                throw VisemeError(.badData, "'\(name)' lies in '\(blob.fileName)', which the package does not have.")
            }
            let entry = try weights.entry(at: blob.offset)
            guard entry.type == element else {
                throw VisemeError(
                    .badData,
                    "The weight '\(name)' is declared as \(element.rawValue), weight.bin has \(entry.type.rawValue) at \(blob.offset)."
                )
            }
            return try StoredTensor(name: name, shape: shape, type: element, bytes: entry.bytes)
        }
        guard let numbers, StoredTensor.count(of: shape) == numbers.count else {
            throw VisemeError(.badData, "The value '\(name)' does not have the \(shape) elements that it declares.")
        }
        let tensor = StoredTensor(name: name, shape: shape, floats: numbers.map { Float($0) })
        return element == .float16 ? try tensor.converted(to: .float16) : tensor
    }
}

extension MILSpecTensorType {
    /// The lengths of the axes; an axis without a fixed length is an error.
    func shape(_ name: String) throws -> [Int] {
        try dimensions.map { dimension in
            guard case .constant(let length)? = dimension.dimension, let size = Int(exactly: length.size),
                size <= 1 << 31
            else {
                throw VisemeError(
                    .unsupported, "'\(name)' has an axis without a fixed length; packages of this family have none.")
            }
            return size
        }
    }
}
