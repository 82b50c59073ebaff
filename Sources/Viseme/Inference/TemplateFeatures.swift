/// What a generator computes from a template frame alone, before any audio.
public struct TemplateFeatures: Sendable {
    /// Computed anew for every video frame: of a network that runs as a whole, the image itself.
    public var fresh: [Tensor]
    /// Worth keeping: the same for every video frame that shows this template frame.
    public var kept: [Tensor]

    /// Makes features.
    public init(fresh: [Tensor], kept: [Tensor] = []) {
        self.fresh = fresh
        self.kept = kept
    }
}
