/// What a tensor is for.
public enum TensorRole: String, Sendable, CaseIterable {
    /// The audio encoder's mel windows.
    case mel
    /// The audio encoder's feature rows.
    case features
    /// The generator's picture: the roi and the masked roi.
    case image
    /// The generator's feature window.
    case audio
    /// The drawn roi.
    case mouth
    /// The articulator's mouth parameters and phone probabilities.
    case articulation
}
