/// Turns feature windows into what the mouth does.
public protocol Articulator: Sendable {
    /// The runtime.
    var runtime: RuntimeDescription { get }

    /// (rows, row width) of one frame → the values of a `MouthShape`.
    func articulate(_ featureWindow: [Float]) async throws -> [Float]
}
