/// A graph that a `GraphLoader` has loaded.
public protocol LoadedGraph: Sendable {
    /// The runtime.
    var runtime: RuntimeDescription { get }

    /// Runs it once.
    ///
    /// - Parameters:
    ///   - inputs: Every input.
    ///   - outputs: The tensors that are wanted.
    /// - Throws: `.badData` when the graph does not fit them.
    func run(_ inputs: [Tensor], outputs: [TensorSlot]) async throws -> [Tensor]
}
