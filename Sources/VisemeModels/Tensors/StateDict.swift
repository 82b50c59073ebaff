import Viseme

/// The named tensors of a model file, in the file's order. Counters such as `num_batches_tracked` are tensors, too.
public struct StateDict: Sendable, Equatable {
    /// Every tensor, in the file's order.
    public let tensors: [StoredTensor]
    /// What a reader did or saw beside the tensors, one sentence each: a wrapper opened, a prefix stripped, entries
    /// skipped, functions that the file names and that were not executed.
    public let remarks: [String]

    private let positions: [String: Int]

    /// Collects tensors.
    ///
    /// - Throws: `.badData` when two of them have the same name.
    public init(_ tensors: [StoredTensor], remarks: [String] = []) throws {
        var positions: [String: Int] = [:]
        positions.reserveCapacity(tensors.count)
        for (position, tensor) in tensors.enumerated() {
            guard positions.updateValue(position, forKey: tensor.name) == nil else {
                throw VisemeError(
                    .badData, "The name '\(tensor.name)' stands for two tensors.",
                    hint: "Export the model again, each tensor under a name of its own.")
            }
        }
        self.tensors = tensors
        self.remarks = remarks
        self.positions = positions
    }

    /// The tensor of that name, if there is one.
    public subscript(name: String) -> StoredTensor? { positions[name].map { tensors[$0] } }

    /// The names, in the file's order.
    public var names: [String] { tensors.map(\.name) }

    /// The same tensors without a prefix that wrappers of whole networks leave, when **every** name has it: `module.`
    /// of the data-parallel ones, `_orig_mod.` of compiled ones. A prefix that only some names have belongs to the network.
    func strippingWrapperPrefixes() throws -> StateDict {
        var stripped = tensors
        var remarks = remarks
        while let prefix = ["module.", "_orig_mod."].first(where: { prefix in
            !stripped.isEmpty
                && stripped.allSatisfy { $0.name.utf8.count > prefix.utf8.count && $0.name.hasPrefix(prefix) }
        }) {
            for i in stripped.indices { stripped[i].name.removeFirst(prefix.count) }
            remarks.append("The prefix '\(prefix)' was stripped from every name.")
        }
        return try StateDict(stripped, remarks: remarks)
    }
}
