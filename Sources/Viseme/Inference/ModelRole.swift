/// What a model does in the pipeline.
public enum ModelRole: String, Sendable, Codable, CaseIterable {
    /// Mel windows → feature rows.
    case audioEncoder = "audio-encoder"
    /// Roi + feature window → mouth.
    case generator
    /// Feature window → what the mouth does and which phone is spoken, without a picture. Not every pack has one.
    case articulator

    /// What every pack needs to draw.
    public static let drawing: [ModelRole] = [.audioEncoder, .generator]

    /// In words, to begin a sentence.
    var title: String {
        switch self {
        case .audioEncoder: "Audio encoder"
        case .generator: "Generator"
        case .articulator: "Articulator"
        }
    }
}
