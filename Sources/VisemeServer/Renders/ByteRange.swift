/// A part of something, as a `Range` header asks for it (RFC 9110, section 14).
enum ByteRange: Equatable {
    /// All of it: there is no such header, or one that we do not follow, which is allowed.
    case whole
    /// These bytes, at least one.
    case part(ClosedRange<Int>)
    /// Bytes that do not exist.
    case unsatisfiable

    /// Reads the header's value.
    ///
    /// - Parameters:
    ///   - header: `bytes=0-99`, `bytes=100-`, `bytes=-100`; anything else, several ranges too, means the whole.
    ///   - size: The bytes that there are.
    init(_ header: String?, size: Int) {
        self = .whole
        guard let header, let match = header.wholeMatch(of: /bytes=([0-9]*)-([0-9]*)/.ignoresCase()) else { return }
        let (first, last) = (match.1, match.2)
        guard !first.isEmpty || !last.isEmpty else { return }
        // More digits than an Int has: beyond every end.
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
