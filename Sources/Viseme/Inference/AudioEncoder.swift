/// Turns mel windows into feature rows.
public protocol AudioEncoder: Sendable {
    /// The runtime.
    var runtime: RuntimeDescription { get }

    /// (count, 1, 80, 16) → (count, 512), both row-major Float32.
    func encode(_ windows: [Float], count: Int) async throws -> [Float]
}
