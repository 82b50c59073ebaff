import Synchronization

/// A frame to draw, and what is there already.
struct DrawJob: Sendable {
    /// Frame number.
    var index: Int
    /// The template frame that it shows.
    var templateIndex: Int
    /// (16, 512).
    var window: [Float]
    /// The generator's features of the template frame, where they were kept.
    var kept: [Tensor]?
    /// The finished square, where this silence was drawn on this template frame before.
    var silentSquare: Image?
    /// Where the square is kept when it is drawn for silence, and under which number.
    var silence: SilentSquares?
    var silenceKey = 0
    /// How much of the square is drawn, in `Blend.full` parts; the rest is the template frame itself.
    var blend = Blend.full
    /// Whether it is kept.
    var isRemembered: Bool { silence != nil && silentSquare == nil }
}

/// How much of a square is drawn: while nobody speaks, a template whose mouth is closed can be shown as it is, and the way
/// there and back is not a jump.
enum Blend {
    /// All of it; 0 is the template frame itself.
    static let full = 3
}

/// Says of every frame what need not be done again. It is asked in the frames' order.
///
/// Several frames are drawn at once, and whether an earlier one is finished is a matter of luck, but for those that have
/// already been given: only these count. So the same frames are drawn the same way every time, and the counters are exact.
struct DrawPlanner {
    private let engine: Engine
    private let first: Int
    private let silence = SilentSquares()
    /// Live: the window of digital silence, whose squares all sessions of the engine share.
    private let idle: [Float]?
    /// The silence that `drawn` is about.
    private var window: [Float] = []
    /// The frame that drew the silence on a template frame.
    private var drawn: [Int: Int] = [:]

    init(_ engine: Engine, first: Int, idle: [Float]? = nil) {
        self.engine = engine
        self.first = first
        self.idle = idle
    }

    /// - Parameter blend: Less than `Blend.full` only while nobody speaks.
    mutating func plan(_ frame: FrameJob, blend: Int = Blend.full) -> DrawJob {
        let index = engine.avatar.templateIndex(ofFrame: frame.index)
        var job = DrawJob(index: frame.index, templateIndex: index, window: frame.window)
        let underWay = max(first, frame.index - engine.parallelism.depth + 1)..<frame.index
        if !underWay.contains(where: { engine.avatar.templateIndex(ofFrame: $0) == index }) {
            job.kept = engine.features.features(of: index)
        }
        job.blend = blend
        guard frame.isSilent, index < engine.silentFrames else { return job }
        if let idle {
            guard frame.window == idle else { return job }
            job.silentSquare = engine.idleSquares.square(ofFrame: index)
            (job.silence, job.silenceKey) = (engine.idleSquares, index)
            return job
        }
        if frame.window != window {
            (window, drawn) = (frame.window, [:])
            silence.forget()
        }
        if let earlier = drawn[index], earlier < underWay.lowerBound {
            job.silentSquare = silence.square(ofFrame: earlier)
        }
        if job.silentSquare == nil { drawn[index] = frame.index }
        (job.silence, job.silenceKey) = (silence, frame.index)
        return job
    }
}

/// Squares that were drawn for silence, by the frame that drew them.
final class SilentSquares: Sendable {
    private let squares = Mutex<[Int: Image]>([:])

    func square(ofFrame index: Int) -> Image? { squares.withLock { $0[index] } }
    func keep(_ square: Image, ofFrame index: Int) { squares.withLock { $0[index] = square } }
    func forget() { squares.withLock { $0 = [:] } }
}

/// The generator's features of the first template frames.
///
/// Which frames are kept is a matter of their number alone, so that the order of work cannot change it.
final class KeptFeatures: Sendable {
    private let frames: Int
    private let kept = Mutex<[Int: [Tensor]]>([:])

    /// Keeps features of the template frames 0..<frames.
    init(frames: Int) { self.frames = frames }

    func features(of templateFrame: Int) -> [Tensor]? { kept.withLock { $0[templateFrame] } }

    func keep(_ features: [Tensor], of templateFrame: Int) {
        guard templateFrame < frames, !features.isEmpty else { return }
        kept.withLock { $0[templateFrame] = features }
    }
}

/// How the memory for the template is shared.
struct MemoryBudget {
    /// Decoded frames: forth and back through a group of pictures.
    let frames: Int
    /// The generator's features.
    let features: Int
    /// Squares that were drawn for silence.
    let silence: Int

    /// Three eighths, one half, one eighth.
    init(_ bytes: Int) {
        frames = bytes / 8 * 3
        features = bytes / 2
        silence = bytes / 8
    }
}
