public import Foundation

/// Inspects the beginning of an upload: an MP4 file with its index at the end cannot be read from a pipe.
public enum MP4Head {
    /// The most bytes to inspect; the index or the media data begins within them.
    public static let limit = 1 << 16

    /// Whether the whole file is needed before any of it can be read.
    ///
    /// - Parameter head: The first bytes received.
    /// - Returns: nil while more bytes are needed.
    public static func needsWholeFile(_ head: Data) -> Bool? {
        let bytes = [UInt8](head.prefix(limit))
        guard bytes.count >= 8 else { return nil }
        guard name(bytes, at: 4) == "ftyp" else { return false }
        var at = 0
        while at + 8 <= bytes.count {
            let size = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            switch name(bytes, at: at + 4) {
            case "moov", "moof": return false
            case "mdat": return true
            default:
                // 1: a 64-bit length follows; 0: to the end of the file. Neither is a small box before the index.
                guard size >= 8 else { return true }
                at += size
            }
        }
        return bytes.count >= limit ? true : nil
    }

    private static func name(_ bytes: [UInt8], at place: Int) -> String {
        String(decoding: bytes[place..<place + 4], as: UTF8.self)
    }
}
