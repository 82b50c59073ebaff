import Foundation

/// What libavformat does not report of a WAV file: that it is truncated, or that another one follows in the same file.
struct WaveHeader {
    /// Bytes that the data chunk states beyond the end of the file; 0 for a complete file or an unknown length.
    private(set) var missingBytes = 0
    /// Whether another WAV file follows, as after `cat a.wav b.wav`: only the first is read.
    private(set) var isFollowed = false

    /// The most chunks to read.
    private static let limit = 64

    /// Reads the chunks' headers. What cannot be read is not reported: this is only for warnings.
    init(_ url: URL) {
        guard let file = try? FileHandle(forReadingFrom: url) else { return }
        defer { try? file.close() }
        guard let size = try? file.seekToEnd(), Self.read(file, at: 0, count: 4) == Array("RIFF".utf8) else { return }
        var offset: UInt64 = 12
        var isPastData = false
        for _ in 0..<Self.limit {
            guard let header = Self.read(file, at: offset, count: 8) else { return }
            if isPastData, header[..<4] == Array("RIFF".utf8)[...] {
                isFollowed = true
                return
            }
            let length = header[4...].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            if header[..<4] == Array("data".utf8)[...] {
                // 0 and the largest numbers mean an unknown length, as when writing to a pipe. espeak-ng and sox write 0x7FFFF000,
                // others 0x7FFFFFFF.
                let isUnknown = length == 0 || length >= 0xFFFF_FF00 || (0x7FFF_F000...0x7FFF_FFFF).contains(length)
                guard !isUnknown else { return }
                let end = offset + 8 + length
                guard end <= size else {
                    missingBytes = Int(end - size)
                    return
                }
                isPastData = true
            }
            offset += 8 + length + length % 2
        }
    }

    private static func read(_ file: FileHandle, at offset: UInt64, count: Int) -> [UInt8]? {
        guard (try? file.seek(toOffset: offset)) != nil, let data = try? file.read(upToCount: count),
            data.count == count
        else { return nil }
        return Array(data)
    }
}
