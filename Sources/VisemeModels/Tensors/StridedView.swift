import Foundation

/// A tensor inside a larger run of elements: where it starts and how far apart neighbours are, counted in elements.
struct StridedView {
    let offset: Int
    let shape: [Int]
    let strides: [Int]

    /// Describes a view. The stride of an axis of length one moves nothing and may be any number in a file: it becomes 0.
    init(offset: Int, shape: [Int], strides: [Int]) {
        self.offset = offset
        self.shape = shape
        self.strides = strides.enumerated().map { axis, step in
            axis < shape.count && shape[axis] <= 1 ? 0 : step
        }
    }

    /// Strides of row-major order, the last axis innermost; nil when they do not fit.
    static func rowMajorStrides(_ shape: [Int]) -> [Int]? {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in stride(from: shape.count - 2, through: 0, by: -1) {
            let (step, overflow) = strides[axis + 1].multipliedReportingOverflow(by: max(shape[axis + 1], 1))
            if overflow { return nil }
            strides[axis] = step
        }
        return strides
    }

    /// Strides of column-major (Fortran) order, the first axis innermost; nil when they do not fit.
    static func columnMajorStrides(_ shape: [Int]) -> [Int]? {
        rowMajorStrides(shape.reversed())?.reversed()
    }

    /// How many elements the storage must have, or nil when the view is impossible: something negative, ranks that
    /// differ, a product that does not fit.
    var extent: Int? {
        guard offset >= 0, shape.count == strides.count, let count = StoredTensor.count(of: shape) else { return nil }
        if count == 0 { return 0 }
        var last = offset
        for (length, step) in zip(shape, strides) where length > 1 {
            guard step >= 0 else { return nil }
            let (reach, overflow) = step.multipliedReportingOverflow(by: length - 1)
            let (sum, overflowSum) = last.addingReportingOverflow(reach)
            if overflow || overflowSum { return nil }
            last = sum
        }
        return last == .max ? nil : last + 1
    }

    /// Whether the elements already lie side by side in row-major order.
    var isContiguous: Bool {
        guard let wanted = Self.rowMajorStrides(shape) else { return false }
        return zip(shape, zip(strides, wanted)).allSatisfy { $0 <= 1 || $1.0 == $1.1 }
    }

    /// The elements, row-major. `extent` elements must be there and `count * itemBytes` must fit: the caller checked both.
    func gather(from storage: Data, itemBytes: Int) -> Data {
        let count = shape.reduce(1, *)
        if count == 0 { return Data() }
        if isContiguous {
            let start = storage.startIndex + offset * itemBytes
            return storage.subdata(in: start..<start + count * itemBytes)
        }
        var result = Data(count: count * itemBytes)
        result.withUnsafeMutableBytes { out in
            storage.withUnsafeBytes { source in
                switch itemBytes {
                case 1: copy(UInt8.self, source, out)
                case 2: copy(UInt16.self, source, out)
                case 4: copy(UInt32.self, source, out)
                default: copy(UInt64.self, source, out)
                }
            }
        }
        return result
    }

    /// The odometer over all axes but the last, and a plain loop over that one.
    private func copy<T: FixedWidthInteger>(
        _: T.Type, _ source: UnsafeRawBufferPointer, _ out: UnsafeMutableRawBufferPointer
    ) {
        let size = MemoryLayout<T>.size
        let (inner, innerStride) = (shape[shape.count - 1], strides[shape.count - 1])
        var index = [Int](repeating: 0, count: shape.count - 1)
        var row = offset
        var written = 0
        while true {
            for i in 0..<inner {
                let value = source.loadUnaligned(fromByteOffset: (row + i * innerStride) * size, as: T.self)
                out.storeBytes(of: value, toByteOffset: written, as: T.self)
                written += size
            }
            var axis = index.count - 1
            while axis >= 0 {
                index[axis] += 1
                row += strides[axis]
                if index[axis] < shape[axis] { break }
                row -= strides[axis] * shape[axis]
                index[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }
}
