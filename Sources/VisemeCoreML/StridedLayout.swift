import Viseme

/// Where the elements of a tensor lie in a buffer.
///
/// Core ML need not return rows back to back: on the Neural Engine they are padded. Reading such a buffer as if it were
/// contiguous gives a sheared picture. Here the innermost axes that do lie back to back are merged into rows, and whatever
/// is left outside is walked row by row: a contiguous tensor is one row.
struct StridedLayout: Equatable {
    /// One axis outside the rows.
    private struct Axis: Equatable {
        var length: Int
        var stride: Int
    }

    /// Elements of one row.
    let rowLength: Int
    /// Distance between neighbours in a row: 1 unless the last axis itself is spread.
    let rowStride: Int
    /// Rows in all.
    let rowCount: Int
    /// Elements in all.
    var count: Int { rowCount * rowLength }
    /// Elements that the buffer must hold, padding between them included.
    let extent: Int
    private let outer: [Axis]

    /// Reads a shape and its strides.
    ///
    /// - Parameters:
    ///   - shape: Lengths, outermost first.
    ///   - strides: Elements between neighbours along each axis.
    /// - Throws: `.internal` when they cannot be those of a buffer.
    init(shape: [Int], strides: [Int]) throws {
        let failure = VisemeError(.internal, "A tensor of shape \(shape) cannot have the strides \(strides).")
        guard shape.count == strides.count, shape.allSatisfy({ $0 > 0 }), strides.allSatisfy({ $0 >= 0 }) else {
            throw failure
        }
        var row = Axis(length: 1, stride: 1)
        var outer: [Axis] = []
        var last = 0
        var count = 1
        for (length, stride) in zip(shape, strides).reversed() {
            let (span, overflow) = (length - 1).multipliedReportingOverflow(by: stride)
            let (sum, sumOverflow) = last.addingReportingOverflow(span)
            let (product, productOverflow) = count.multipliedReportingOverflow(by: length)
            guard !overflow, !sumOverflow, !productOverflow, sum < Int.max else { throw failure }
            (last, count) = (sum, product)
            if length == 1 { continue }  // the stride of a single element says nothing
            if outer.isEmpty, row.length == 1 {
                row = Axis(length: length, stride: stride)
            } else if outer.isEmpty, stride == row.length * row.stride {
                row.length *= length
            } else {
                outer.append(Axis(length: length, stride: stride))
            }
        }
        rowLength = row.length
        rowStride = row.stride
        rowCount = count / row.length
        extent = last + 1
        self.outer = outer
    }

    /// Copies the tensor out of its buffer.
    ///
    /// - Parameters:
    ///   - source: The buffer; at least `extent` elements.
    ///   - target: `count` values, row-major.
    func read(
        _ source: UnsafeRawBufferPointer, _ element: TensorElement, into target: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(source.count / element.byteCount >= extent && target.count == count, "the buffers fit the layout")
        guard let source = source.baseAddress, let target = target.baseAddress else { return }
        forEachRow { row, offset in
            let from = source + offset * element.byteCount
            let to = target + row * rowLength
            switch element {
            case .float32 where rowStride == 1:
                UnsafeMutableRawPointer(to).copyMemory(from: from, byteCount: rowLength * 4)
            case .float32:
                for i in 0..<rowLength { to[i] = from.loadUnaligned(fromByteOffset: i * rowStride * 4, as: Float.self) }
            case .float16:
                for i in 0..<rowLength {
                    to[i] = Half.value(from.loadUnaligned(fromByteOffset: i * rowStride * 2, as: UInt16.self))
                }
            }
        }
    }

    /// Copies values into the tensor's buffer. Padding stays as it was.
    ///
    /// - Parameters:
    ///   - values: `count` values, row-major.
    ///   - target: The buffer; at least `extent` elements.
    func write(
        _ values: UnsafeBufferPointer<Float>, into target: UnsafeMutableRawBufferPointer, _ element: TensorElement
    ) {
        precondition(target.count / element.byteCount >= extent && values.count == count, "the buffers fit the layout")
        guard let values = values.baseAddress, let target = target.baseAddress else { return }
        forEachRow { row, offset in
            let from = values + row * rowLength
            let to = target + offset * element.byteCount
            switch element {
            case .float32 where rowStride == 1:
                to.copyMemory(from: from, byteCount: rowLength * 4)
            case .float32:
                for i in 0..<rowLength { to.storeBytes(of: from[i], toByteOffset: i * rowStride * 4, as: Float.self) }
            case .float16:
                for i in 0..<rowLength {
                    to.storeBytes(of: Half.bits(from[i]), toByteOffset: i * rowStride * 2, as: UInt16.self)
                }
            }
        }
    }

    /// Calls `body` with each row's number and the offset of its first element, in row-major order.
    private func forEachRow(_ body: (_ row: Int, _ offset: Int) -> Void) {
        var position = [Int](repeating: 0, count: outer.count)  // innermost first, as `outer`
        var offset = 0
        for row in 0..<rowCount {
            body(row, offset)
            for (i, axis) in outer.enumerated() {
                position[i] += 1
                offset += axis.stride
                if position[i] < axis.length { break }
                position[i] = 0
                offset -= axis.length * axis.stride
            }
        }
    }
}

extension StridedLayout {
    /// Checks that a buffer holds the tensor.
    ///
    /// - Throws: `.internal` when it is too short for the strides that came with it.
    func requireRoom(in byteCount: Int, _ element: TensorElement, for name: String) throws {
        guard byteCount / element.byteCount >= extent else {
            throw VisemeError(
                .internal,
                "The buffer of '\(name)' has \(byteCount) bytes, its strides reach \(extent) elements of \(element.rawValue)."
            )
        }
    }
}
