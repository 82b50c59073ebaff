import Viseme

/// A bounded cache of decoded frames: what was not asked for the longest goes first.
///
/// Playback goes forward and backward, for several sessions at a time: each needs the frames near its own place again. One that only
/// goes forward needs none of them: then the last one is kept.
struct FrameCache {
    private var frames: [Int: (picture: any Picture, use: Int)] = [:]
    private var uses = 0
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
        uses += 1
        frames[index]?.use = uses
        return frames[index]?.picture
    }

    /// Empties the cache.
    mutating func forget() { frames = [:] }

    /// Whether a frame is cached.
    func contains(_ index: Int) -> Bool { frames[index] != nil }

    /// Caches a frame, and evicts those that were not needed for the longest time.
    ///
    /// - Parameter alone: Whether nothing but this frame is to be kept.
    mutating func insert(_ picture: any Picture, at index: Int, alone: Bool = false) {
        uses += 1
        frames[index] = (picture, uses)
        while frames.count > (alone ? 1 : capacity), let oldest = frames.min(by: { $0.value.use < $1.value.use }) {
            frames[oldest.key] = nil
        }
    }
}
