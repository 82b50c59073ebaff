/// Turns mel windows into feature rows.
public protocol AudioEncoder: Sendable {
    /// The runtime.
    var runtime: RuntimeDescription { get }

    /// (count, mel window) → (count, feature row), both row-major Float32; SyncTalk_2D's are (count, 1, 80, 16) and (count, 512).
    func encode(_ melWindows: [Float], count: Int) async throws -> [Float]
}
