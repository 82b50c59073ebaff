/// How much of a square is drawn. While there is no speech, a template with a closed mouth is shown as it is; the change there and
/// back is gradual.
enum Blend {
    /// All of it; 0 is the template frame itself.
    static let full = 3
}
