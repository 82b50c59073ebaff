public import Foundation
import Viseme

/// An array in NumPy's `.npy` format (numpy.lib.format, versions 1 to 3).
public struct NumPyArray: Sendable, Equatable {
    /// Lengths of the axes, outermost first; empty for a single number.
    public let shape: [Int]
    /// How the elements are stored.
    public let type: ElementType
    /// The elements, row-major and little-endian.
    public let bytes: Data

    /// Makes an array of numbers.
    public init(shape: [Int], floats: [Float]) {
        precondition(StoredTensor.count(of: shape) == floats.count, "\(floats.count) elements for the shape \(shape)")
        self.shape = shape
        type = .float32
        bytes = floats.withUnsafeBytes { Data($0) }
    }

    /// Makes an array of a tensor's elements.
    ///
    /// - Throws: `.unsupported` for bfloat16, which NumPy does not have.
    public init(_ tensor: StoredTensor) throws {
        guard Self.descriptor(tensor.type) != nil else {
            throw VisemeError(
                .unsupported, "The tensor '\(tensor.name)' is \(tensor.type.rawValue), which NumPy does not have.",
                hint: "Write its elements as float32: every bfloat16 is one.")
        }
        shape = tensor.shape
        type = tensor.type
        bytes = tensor.bytes
    }

    /// Number of elements.
    public var count: Int { bytes.count / type.byteCount }

    /// The elements as Float32, row-major. Float64 and integers are rounded.
    public func floats() throws -> [Float] { try tensor(named: "array").floats() }

    /// The array as a tensor.
    public func tensor(named name: String) throws -> StoredTensor {
        try StoredTensor(name: name, shape: shape, type: type, bytes: bytes)
    }

    // MARK: - The file

    private static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]  // \x93NUMPY

    /// Reads a `.npy` file: `<f4`, `<f8`, `<f2`, `<i2`, `<i4`, `<i8`, `|i1`, `|u1` and `|b1`, in C or Fortran order.
    ///
    /// - Throws: `.badData` for a damaged file or one with bytes to spare, `.unsupported` for other element types.
    public static func read(_ data: Data, name: String) throws -> NumPyArray {
        let bytes = CheckpointBytes(data, name: name)
        guard data.starts(with: magic) else {
            throw VisemeError(
                .badData, "'\(name)' does not begin as a NumPy array.",
                hint: "Expected is what numpy.save(path, array) writes.")
        }
        let version = try bytes.integer(UInt8.self, at: 6)
        let header: Range<Int>
        switch version {
        case 1: header = try bytes.range(at: 10, count: Int(bytes.integer(UInt16.self, at: 8)))
        case 2, 3: header = try bytes.range(at: 12, count: Int(bytes.integer(UInt32.self, at: 8)))
        default:
            throw bytes.unsupported("is of version \(version), 1 to 3 are known", hint: "Save it with numpy.save.")
        }
        var literal = NumPyHeader(bytes, header)
        let (descriptor, isColumnMajor, shape) = try literal.read()
        guard let type = elementType(descriptor) else {
            throw bytes.unsupported(
                "has elements of the type '\(PickleGraph.printable(descriptor))'",
                hint: "Read are <f2 <f4 <f8 <i2 <i4 <i8 |i1 |u1 |b1: save array.astype('<f4').")
        }
        let elements = bytes.part(header.upperBound..<bytes.count)
        guard let count = StoredTensor.count(of: shape),
            count.multipliedReportingOverflow(by: type.byteCount) == (elements.count, false)
        else {
            throw bytes.damaged(
                "the shape \(shape.prefix(16)) of '\(descriptor)' does not belong to \(elements.count) bytes")
        }
        if isColumnMajor, count > 0, let strides = StridedView.columnMajorStrides(shape) {
            let view = StridedView(offset: 0, shape: shape, strides: strides)
            return NumPyArray(shape: shape, type: type, bytes: view.gather(from: elements, itemBytes: type.byteCount))
        }
        return NumPyArray(shape: shape, type: type, bytes: Data(elements))
    }

    /// The file: version 1, C order, the elements at a multiple of 64 bytes as NumPy puts them.
    public func data() -> Data {
        let axes = shape.map { "\($0)" }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
        // Every way to make an array asks whether its type has a descriptor.
        let descriptor = Self.descriptor(type) ?? "|V\(type.byteCount)"
        var header = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': (\(axes)), }"
        let unpadded = 10 + header.utf8.count + 1
        header += String(repeating: " ", count: (64 - unpadded % 64) % 64) + "\n"
        var file = Data(Self.magic + [1, 0])
        withUnsafeBytes(of: UInt16(header.utf8.count).littleEndian) { file.append(contentsOf: $0) }
        file.append(contentsOf: header.utf8)
        file.append(bytes)
        return file
    }

    private init(shape: [Int], type: ElementType, bytes: Data) {
        self.shape = shape
        self.type = type
        self.bytes = bytes
    }

    private static func elementType(_ descriptor: String) -> ElementType? {
        ElementType.allCases.first { type in
            guard let own = Self.descriptor(type) else { return false }
            // A byte has no order: '<' is written for it, too.
            return descriptor == own
                || type.byteCount == 1 && ["|", "<"].contains { descriptor == $0 + own.dropFirst() }
        }
    }

    private static func descriptor(_ type: ElementType) -> String? {
        switch type {
        case .float64: "<f8"
        case .float32: "<f4"
        case .float16: "<f2"
        case .bfloat16: nil
        case .int64: "<i8"
        case .int32: "<i4"
        case .int16: "<i2"
        case .int8: "|i1"
        case .uint8: "|u1"
        case .bool: "|b1"
        }
    }
}
