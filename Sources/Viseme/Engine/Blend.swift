/// How much of a square is drawn: while nobody speaks, a template whose mouth is closed can be shown as it is, and the way
/// there and back is not a jump.
enum Blend {
    /// All of it; 0 is the template frame itself.
    static let full = 3
}
