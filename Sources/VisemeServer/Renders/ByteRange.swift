/// A byte range, as a `Range` header requests it (RFC 9110, section 14).
enum ByteRange: Equatable {
    /// All bytes: the header is missing, or is one that a server may ignore.
    case whole
    /// These bytes, at least one.
    case part(ClosedRange<Int>)
    /// No requested byte exists.
    case unsatisfiable

    /// Reads the header's value.
    ///
    /// - Parameters:
    ///   - header: `bytes=0-99`, `bytes=100-`, `bytes=-100`; anything else, also several ranges, means the whole.
    ///   - size: The size of the content in bytes.
    init(_ header: String?, size: Int) {
        self = .whole
        guard let header, let match = header.wholeMatch(of: /bytes=([0-9]*)-([0-9]*)/.ignoresCase()) else { return }
        let (first, last) = (match.1, match.2)
        guard !first.isEmpty || !last.isEmpty else { return }
        // A number beyond Int is beyond every end.
        let lastNumber = last.isEmpty ? nil : Int(last) ?? .max
        guard !first.isEmpty else {
            let count = min(size, lastNumber ?? 0)
            self = count > 0 ? .part(size - count...size - 1) : .unsatisfiable
            return
        }
        let lower = Int(first) ?? .max
        if let lastNumber, lastNumber < lower { return }
        self = lower < size ? .part(lower...min(size - 1, lastNumber ?? .max)) : .unsatisfiable
    }
}
