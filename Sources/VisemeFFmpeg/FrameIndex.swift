import CFFmpeg
import Foundation
import Viseme

/// Which packets make which frames of a video, in the order of showing.
struct FrameIndex: Equatable {
    /// One packet as the demuxer gave it.
    struct Entry: Equatable {
        /// When the frame is shown, in the stream's time unit.
        var timestamp: Int64
        /// The packet's decoding time, for jumps.
        var decodingTime: Int64
        /// Whether decoding can start here.
        var isKey: Bool
        /// Whether the container's edit list hides the frame.
        var isHidden: Bool
    }

    /// The packets in file order.
    let entries: [Entry]
    /// The frames' timestamps in the order of showing.
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

    /// How a video becomes one that can be a template.
    static let conversion =
        "convert it, and count its frames again: ffmpeg -i IN -vf fps=25,scale=iw*sar:ih,setsar=1 -c:v libx264 -crf 12 -an OUT.mp4"

    /// Checks that the frames follow each other at 25 a second.
    ///
    /// - Throws: `.badData` with the rate that was found.
    func requireRegular(unit: AVRational, label: String) throws {
        guard timestamps.count > 1, unit.num > 0, unit.den > 0 else { return }
        let scale = Double(unit.num) / Double(unit.den)
        let first = Double(timestamps[0]) * scale
        // Half a frame: some containers round to milliseconds, and a longer video must not run away either.
        for (number, timestamp) in timestamps.enumerated() {
            let expected = first + Double(number) / 25
            guard abs(Double(timestamp) * scale - expected) > 0.02 else { continue }
            let length = Double(timestamps[timestamps.count - 1]) * scale - first
            let rate = String(format: "%.2f", Double(timestamps.count - 1) / max(length, 1e-6))
            throw VisemeError(
                .badData,
                "\(label) has \(rate) frames a second, or an uneven rate: frame \(number) is not at its time for 25",
                hint: Self.conversion)
        }
    }

    /// How many frames are shown.
    var count: Int { timestamps.count }

    /// The frame that is shown at a timestamp, or nil.
    func frame(at timestamp: Int64) -> Int? { frameOfTimestamp[timestamp] }

    /// The file position of the packet with a timestamp, or nil.
    func position(of timestamp: Int64) -> Int? { positionOfTimestamp[timestamp] }

    /// The file position of the key packet from which a frame is decoded.
    func key(for frame: Int) -> Int {
        let timestamp = timestamps[frame]
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[keys[middle]].timestamp <= timestamp { low = middle + 1 } else { high = middle }
        }
        return keys[max(0, low - 1)]
    }

    /// The key packet that is shown before another, or nil for the first.
    func key(before key: Int) -> Int? {
        guard let place = keys.firstIndex(of: key), place > 0 else { return nil }
        return keys[place - 1]
    }

    /// The first frame that is shown from the key packet at a file position on.
    func firstFrame(from key: Int) -> Int {
        let timestamp = entries[key].timestamp
        return timestamps.firstIndex { $0 >= timestamp } ?? 0
    }
}
