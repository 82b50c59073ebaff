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

    /// Loads a graph that runs in several lanes at the same time. Where the runtime can, they share one copy of it.
    ///
    /// - Parameter count: Lanes, at least 1; the others as for `graph`, optimised.
    @concurrent func graphs(
        _ count: Int, of model: Data, name: String, threads: Int
    ) async throws -> [any LoadedGraph]
}

extension GraphLoader {
    /// Loads the graph once for each lane.
    @concurrent public func graphs(
        _ count: Int, of model: Data, name: String, threads: Int
    ) async throws -> [any LoadedGraph] {
        try await graphEachLane(count, of: model, name: name, threads: threads)
    }

    /// Loads the graph once for each lane: what a loader that shares some of them does with the others.
    @concurrent package func graphEachLane(
        _ count: Int, of model: Data, name: String, threads: Int
    ) async throws -> [any LoadedGraph] {
        try await concurrently(count) { try await graph(model, name: name, threads: threads, optimised: true) }
    }
}
