import Viseme

/// A bounded cache of decoded frames for playback forward and backward.
///
/// Evicts frames behind the playhead first, the farthest first: ping-pong playback needs the recent frames again, and the frames
/// ahead soon.
struct FrameCache {
    private var frames: [Int: any Picture] = [:]
    private var last = -1
    /// Whether playback runs backward: the last request had a lower number than the one before.
    private(set) var isBackward = false
    /// The capacity in frames, at least one.
    let capacity: Int

    /// Makes an empty cache.
    ///
    /// - Parameters:
    ///   - memory: The most bytes of all frames.
    ///   - frameBytes: The bytes of one frame.
    init(memory: Int, frameBytes: Int) {
        capacity = max(1, memory / max(1, frameBytes))
    }

    /// The number of cached frames.
    var count: Int { frames.count }

    /// Looks up a frame, and updates the playback direction.
    mutating func request(_ index: Int) -> (any Picture)? {
        if index != last { isBackward = index < last }
        last = index
        return frames[index]
    }

    /// Whether a frame is cached.
    func contains(_ index: Int) -> Bool { frames[index] != nil }

    /// Caches a frame, and evicts frames that are needed last.
    mutating func insert(_ picture: any Picture, at index: Int) {
        frames[index] = picture
        while frames.count > capacity, let victim = victim() { frames[victim] = nil }
    }

    private func victim() -> Int? {
        let behind = frames.keys.filter { isBackward ? $0 > last : $0 < last }
        return (behind.isEmpty ? Array(frames.keys) : behind).max { abs($0 - last) < abs($1 - last) }
    }
}
