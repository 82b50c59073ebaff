/// What a model does in the pipeline.
public enum ModelRole: String, Sendable, Codable, CaseIterable {
    /// Mel windows → feature rows.
    case audioEncoder = "audio-encoder"
    /// Roi + feature window → mouth.
    case generator
}
