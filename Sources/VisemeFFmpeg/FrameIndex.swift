import CFFmpeg
import Foundation
import Viseme

/// Maps the packets of a video to its frames in display order.
struct FrameIndex: Equatable {
    /// One packet as the demuxer gave it.
    struct Entry: Equatable {
        /// The presentation timestamp, in the stream's time base.
        var timestamp: Int64
        /// The decoding timestamp, for seeking.
        var decodingTime: Int64
        /// Whether decoding can start here.
        var isKey: Bool
        /// Whether the container's edit list hides the frame.
        var isHidden: Bool
    }

    /// The packets in file order.
    let entries: [Entry]
    /// The frames' timestamps in display order.
    let timestamps: [Int64]
    private let frameOfTimestamp: [Int64: Int]
    private let positionOfTimestamp: [Int64: Int]
    /// The file positions of key packets, by timestamp.
    private let keys: [Int]

    /// Sorts packets into frames.
    ///
    /// - Throws: `.badData` when there is no visible frame, no key frame before the first one, or a repeated timestamp.
    init(_ entries: [Entry], label: String) throws {
        self.entries = entries
        var positions: [Int64: Int] = [:]
        for (position, entry) in entries.enumerated() {
            guard positions.updateValue(position, forKey: entry.timestamp) == nil else {
                throw VisemeError(
                    .badData, "\(label) shows two frames at timestamp \(entry.timestamp)",
                    hint: "rewrite it, for example: ffmpeg -i IN -c:v libx264 -g 25 OUT.mp4")
            }
        }
        positionOfTimestamp = positions
        timestamps = entries.filter { !$0.isHidden }.map(\.timestamp).sorted()
        keys = entries.indices.filter { entries[$0].isKey }.sorted { entries[$0].timestamp < entries[$1].timestamp }
        frameOfTimestamp = Dictionary(uniqueKeysWithValues: timestamps.enumerated().map { ($1, $0) })
        guard let first = timestamps.first else { throw VisemeError(.badData, "\(label) has no frame") }
        guard let key = keys.first, entries[key].timestamp <= first else {
            throw VisemeError(.badData, "\(label) does not start with a key frame")
        }
    }

    /// The hint for a video that cannot be a template.
    static let conversion =
        "convert it, and count its frames again: ffmpeg -i IN -vf fps=25,scale=iw*sar:ih,setsar=1 -c:v libx264 -crf 12 -an OUT.mp4"

    /// Checks for a constant 25 frames per second.
    ///
    /// - Throws: `.badData` with the actual rate.
    func requireRegular(unit: AVRational, label: String) throws {
        guard timestamps.count > 1, unit.num > 0, unit.den > 0 else { return }
        let scale = Double(unit.num) / Double(unit.den)
        let first = Double(timestamps[0]) * scale
        // Half a frame: some containers round to milliseconds, and the error must not grow with the length.
        for (number, timestamp) in timestamps.enumerated() {
            let expected = first + Double(number) / 25
            guard abs(Double(timestamp) * scale - expected) > 0.02 else { continue }
            let length = Double(timestamps[timestamps.count - 1]) * scale - first
            let rate = String(format: "%.2f", Double(timestamps.count - 1) / max(length, 1e-6))
            throw VisemeError(
                .badData,
                "\(label) has \(rate) frames per second, or an uneven rate: frame \(number) is not at its time for 25",
                hint: Self.conversion)
        }
    }

    /// The number of visible frames.
    var count: Int { timestamps.count }

    /// The frame with a timestamp, or nil.
    func frame(at timestamp: Int64) -> Int? { frameOfTimestamp[timestamp] }

    /// The file position of the packet with a timestamp, or nil.
    func position(of timestamp: Int64) -> Int? { positionOfTimestamp[timestamp] }

    /// The file position of the key packet that a frame's decoding starts at.
    func key(for frame: Int) -> Int {
        let timestamp = timestamps[frame]
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[keys[middle]].timestamp <= timestamp { low = middle + 1 } else { high = middle }
        }
        return keys[max(0, low - 1)]
    }

    /// The previous key packet in display order, or nil for the first.
    func key(before key: Int) -> Int? {
        guard let place = keys.firstIndex(of: key), place > 0 else { return nil }
        return keys[place - 1]
    }

    /// The first frame in display order from the key packet at a file position.
    func firstFrame(from key: Int) -> Int {
        let timestamp = entries[key].timestamp
        return timestamps.firstIndex { $0 >= timestamp } ?? 0
    }

    /// The last frame in display order before the key packet after that at a file position.
    func lastFrame(from key: Int) -> Int {
        guard let place = keys.firstIndex(of: key), place + 1 < keys.count else { return count - 1 }
        return firstFrame(from: keys[place + 1]) - 1
    }
}
