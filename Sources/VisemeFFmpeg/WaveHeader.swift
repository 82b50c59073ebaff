import Foundation

/// Detects a truncated WAV file, which libavformat does not report.
enum WaveHeader {
    /// The most chunks to read before the data chunk.
    private static let limit = 64

    /// Bytes that the data chunk states beyond the end of the file; 0 for a complete file or an unknown length.
    static func missingBytes(_ url: URL) -> Int {
        // This is only for a warning; opening the file reports when it cannot be read.
        guard let file = try? FileHandle(forReadingFrom: url) else { return 0 }
        defer { try? file.close() }
        guard let size = try? file.seekToEnd(), read(file, at: 0, count: 4) == Array("RIFF".utf8) else { return 0 }
        var offset: UInt64 = 12
        for _ in 0..<limit {
            guard let header = read(file, at: offset, count: 8) else { return 0 }
            let length = header[4...].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard header[..<4] != Array("data".utf8)[...] else {
                // 0 and the largest numbers mean an unknown length, as when writing to a pipe. espeak-ng and sox write 0x7FFFF000,
                // others 0x7FFFFFFF.
                let isUnknown = length == 0 || length >= 0xFFFF_FF00 || (0x7FFF_F000...0x7FFF_FFFF).contains(length)
                let end = offset + 8 + length
                return isUnknown || end <= size ? 0 : Int(end - size)
            }
            offset += 8 + length + length % 2
        }
        return 0
    }

    private static func read(_ file: FileHandle, at offset: UInt64, count: Int) -> [UInt8]? {
        guard (try? file.seek(toOffset: offset)) != nil, let data = try? file.read(upToCount: count),
            data.count == count
        else { return nil }
        return Array(data)
    }
}
