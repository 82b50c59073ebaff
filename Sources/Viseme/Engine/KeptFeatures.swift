import Synchronization

/// The generator's features of the first template frames.
///
/// The frame number alone decides whether a frame is kept, so the order of work does not matter.
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
