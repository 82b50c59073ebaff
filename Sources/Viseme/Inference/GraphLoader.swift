public import Foundation

/// Loads any graph, to run it and to read any of its tensors: parts of a generator, models to be proved and compared.
public protocol GraphLoader: Sendable {
    /// Loads a graph.
    ///
    /// - Parameters:
    ///   - model: The bytes of an ONNX file.
    ///   - name: What errors call it.
    ///   - threads: Threads of one run, at least 1.
    ///   - optimised: False for the operations exactly as written, one by one.
    /// - Throws: `.badData` when it cannot be run.
    @concurrent func graph(_ model: Data, name: String, threads: Int, optimised: Bool) async throws -> any LoadedGraph
}
