/// Decides which cached results a frame may reuse. It is called in the order of the frames.
///
/// Several frames are drawn at once. Only frames that were already delivered count as cached, so the decision does not depend on
/// timing: the same frames are drawn the same way every time, and the counters are exact.
struct DrawPlanner {
    private let engine: Engine
    private let first: Int
    private let silence = SilentSquares()
    /// Live: the feature window of digital silence, whose squares all sessions of the engine share.
    private let idle: [Float]?
    /// The silence that `drawn` is about.
    private var featureWindow: [Float] = []
    /// The frame that drew the silence on a template frame.
    private var drawn: [Int: Int] = [:]

    init(_ engine: Engine, first: Int, idle: [Float]? = nil) {
        self.engine = engine
        self.first = first
        self.idle = idle
    }

    /// - Parameter blend: Less than `Blend.full` only while there is no speech.
    mutating func plan(_ frame: FrameJob, blend: Int = Blend.full) -> DrawJob {
        let index = engine.avatar.templateIndex(ofFrame: frame.index)
        var job = DrawJob(index: frame.index, templateIndex: index, featureWindow: frame.featureWindow)
        let underWay = max(first, frame.index - engine.parallelism.depth + 1)..<frame.index
        if !underWay.contains(where: { engine.avatar.templateIndex(ofFrame: $0) == index }) {
            job.kept = engine.features.features(of: index)
        }
        job.blend = blend
        guard frame.isSilent, index < engine.silentFrames else { return job }
        if let idle {
            guard frame.featureWindow == idle else { return job }
            job.silentSquare = engine.idleSquares.square(ofFrame: index)
            (job.silence, job.silenceKey) = (engine.idleSquares, index)
            return job
        }
        if frame.featureWindow != featureWindow {
            (featureWindow, drawn) = (frame.featureWindow, [:])
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
