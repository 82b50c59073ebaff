import Viseme

/// Decoded frames within a number of bytes, for playback that goes forward and back.
///
/// What lies behind the direction of play goes first, the farthest of it before the rest: a ping-pong needs the near past
/// again, and the frames ahead soon.
struct FrameCache {
    private var frames: [Int: any Picture] = [:]
    private var last = -1
    /// Whether the last two requests went towards lower numbers.
    private(set) var isBackward = false
    /// How many frames fit, at least one.
    let capacity: Int

    /// Makes an empty cache.
    ///
    /// - Parameters:
    ///   - memory: The bytes that frames may occupy.
    ///   - frameBytes: The bytes of one frame.
    init(memory: Int, frameBytes: Int) {
        capacity = max(1, memory / max(1, frameBytes))
    }

    /// How many frames are kept.
    var count: Int { frames.count }

    /// Asks for a frame; this also tells the direction of play.
    mutating func request(_ index: Int) -> (any Picture)? {
        if index != last { isBackward = index < last }
        last = index
        return frames[index]
    }

    /// Whether a frame is kept.
    func contains(_ index: Int) -> Bool { frames[index] != nil }

    /// Keeps a frame, and drops those that are needed last.
    mutating func insert(_ picture: any Picture, at index: Int) {
        frames[index] = picture
        while frames.count > capacity, let victim = victim() { frames[victim] = nil }
    }

    private func victim() -> Int? {
        let behind = frames.keys.filter { isBackward ? $0 > last : $0 < last }
        return (behind.isEmpty ? Array(frames.keys) : behind).max { abs($0 - last) < abs($1 - last) }
    }
}
