import Foundation
import Viseme

/// Finds the network in what a checkpoint holds: opens wrappers, walks whole networks as `state_dict()` would, and names
/// every tensor.
///
/// No recursion and no set of visited nodes: a value may rightly occur twice, and the budget ends what never ends.
struct CheckpointWalk {
    let graph: PickleGraph
    let storages: CheckpointStorages
    var budget: CheckpointBudget
    private(set) var remarks: [String] = []

    private static let wrappers = [
        "state_dict", "model_state_dict", "model", "net", "network", "module", "params", "weights",
    ]
    /// A name longer than this is an attack, not a name.
    private static let nameLimit = 4096

    init(graph: PickleGraph, storages: CheckpointStorages) {
        self.graph = graph
        self.storages = storages
        budget = CheckpointBudget(storages.bytes)
    }

    /// The tensors below a checkpoint's root, in the file's order.
    mutating func stateDict(_ root: PickleValue) throws -> StateDict {
        let network = try unwrap(root)
        var tensors: [StoredTensor] = []
        var skipped: [String] = []
        var pending = [(value: network, name: "")]
        while let (value, name) = pending.popLast() {
            if Self.isTensor(graph.kind(value)) {
                tensors.append(
                    try storages.tensor(value, named: name.isEmpty ? "tensor" : name, in: graph, budget: &budget))
            } else if let children = try children(of: value, named: name) {
                pending += children.reversed()
            } else if skipped.count < 8 {
                skipped.append("'\(PickleGraph.printable(name))' (\(graph.describe(value)))")
            }
        }
        let calls = graph.foreignCalls.map(PickleGraph.printable)
        guard !tensors.isEmpty else {
            throw VisemeError(
                .badData,
                "'\(storages.bytes.name)' holds no tensor: it is \(graph.describe(root))."
                    + (calls.isEmpty
                        ? "" : " It asks for \(calls.joined(separator: ", ")) to be called; nothing was executed."),
                hint: calls.isEmpty
                    ? "Expected is what torch.save(model.state_dict(), path) writes."
                    : "This file attacks whoever loads it with Python's pickle. Do not use it.")
        }
        if !skipped.isEmpty {
            remarks.append("Skipped values that are not tensors: \(skipped.joined(separator: ", ")).")
        }
        if !calls.isEmpty {
            remarks.append("It asks for \(calls.joined(separator: ", ")) to be called; nothing was executed.")
        }
        return try StateDict(tensors, remarks: remarks).strippingWrapperPrefixes()
    }

    private static func isTensor(_ kind: PickleGraph.Kind?) -> Bool {
        kind == .tensor || kind == .typedTensor || kind == .strangeTensor
    }

    // MARK: - Wrappers

    /// Goes from `{"epoch": 3, "state_dict": {…}}` to what is in it.
    private mutating func unwrap(_ root: PickleValue) throws -> PickleValue {
        var current = root
        for _ in 0..<8 {
            guard graph.kind(current) == .dict else { break }
            let entries = try entries(of: current)
            let wrapper =
                Self.wrappers.lazy.compactMap { name in entries.first { $0.key == name } }
                .first { holdsTensors($0.value) } ?? onlyCandidate(entries)
            guard let wrapper else { break }
            let others = entries.filter { $0.key != wrapper.key }.prefix(8).map { "'\(PickleGraph.printable($0.key))'" }
            remarks.append(
                "The network is the entry '\(PickleGraph.printable(wrapper.key))'"
                    + (others.isEmpty ? "." : ", beside \(others.joined(separator: ", "))."))
            current = wrapper.value
        }
        return current
    }

    /// The one entry that can be a network, if no tensor lies beside it.
    private func onlyCandidate(_ entries: [Entry]) -> Entry? {
        if entries.contains(where: { Self.isTensor(graph.kind($0.value)) }) { return nil }
        let states = ["optim", "sched", "scaler"]  // theirs are tensors, too, and no network
        let candidates = entries.lazy.prefix(64).filter { entry in
            !states.contains { entry.key.contains($0) } && holdsTensors(entry.value)
        }.prefix(2)
        return candidates.count == 1 ? candidates.first : nil
    }

    /// Whether a tensor is found below a container within ten thousand steps.
    private func holdsTensors(_ container: PickleValue) -> Bool {
        guard !Self.isTensor(graph.kind(container)) else { return false }
        var seen: Set<Int> = []
        var pending = [container]
        var steps = 0
        while let value = pending.popLast(), steps < 10_000 {
            guard case .node(let node) = value, seen.insert(node).inserted else { continue }
            switch graph.nodes[node].kind {
            case .tensor, .typedTensor, .strangeTensor: return true
            case .list, .tuple, .dict, .object:
                let items = graph.nodes[node].items.prefix(10_000 - steps)
                steps += items.count + 1
                pending += items.reversed()
            case .set, .global, .storage: continue
            }
        }
        return false
    }

    // MARK: - Names

    private typealias Entry = (key: String, value: PickleValue)

    /// A dict's entries with text or number keys. A key that occurs twice keeps its place and takes the last value, as in
    /// Python.
    private mutating func entries(of dict: PickleValue) throws -> [Entry] {
        let items = graph.items(dict)
        try budget.spend(items.count * 8, on: "a dict of \(items.count / 2) entries")
        var entries: [Entry] = []
        var places: [String: Int] = [:]
        for i in stride(from: 0, to: items.count - 1, by: 2) {
            let key: String
            switch items[i] {
            case .text(let span) where Int(span.count) <= Self.nameLimit:
                try budget.spend(Int(span.count), on: "the key of an entry")
                key = graph.bytes.text(span.range)
            case .int(let number): key = "\(number)"
            default: continue
            }
            if let place = places.updateValue(entries.count, forKey: key) {
                entries[place].value = items[i + 1]
                places[key] = place
            } else {
                entries.append((key, items[i + 1]))
            }
        }
        return entries
    }

    /// What lies in a container, with full names; nil when it is not one.
    private mutating func children(of value: PickleValue, named name: String) throws -> [(PickleValue, String)]? {
        switch graph.kind(value) {
        case .dict: return try named(entries(of: value), below: name)
        case .list, .tuple:
            let items = graph.items(value)
            try budget.spend(items.count * 4, on: "a list of \(items.count)")
            return try named(items.enumerated().map { ("\($0)", $1) }, below: name)
        case .object:
            let parts = graph.items(value)
            if parts.count > 3, graph.kind(parts[3]) == .dict { return try named(entries(of: parts[3]), below: name) }
            guard parts.count > 2, let state = state(parts[2]) else { return nil }
            return try named(networkParts(try entries(of: state), class: graph.globalName(parts[0])), below: name)
        default: return nil
        }
    }

    /// An object's state: a dict, or a dict beside its slots.
    private func state(_ value: PickleValue) -> PickleValue? {
        if graph.kind(value) == .tuple { return graph.items(value).first { graph.kind($0) == .dict } }
        return graph.kind(value) == .dict ? value : nil
    }

    /// Of a whole network: parameters, lasting buffers, then the networks inside, as `state_dict()` orders them. TorchScript
    /// keeps all of them as plain attributes. Of any other object: nothing.
    private mutating func networkParts(_ state: [Entry], class name: String?) throws -> [Entry] {
        let parts = Dictionary(state, uniquingKeysWith: { $1 })
        guard parts["_parameters"] != nil || parts["_modules"] != nil else {
            return name?.hasPrefix("__torch__") == true
                ? state.filter { Self.isTensor(graph.kind($0.value)) || graph.kind($0.value) == .object } : []
        }
        let passing = try parts["_non_persistent_buffers_set"].map { try names(in: $0) } ?? []
        let parameters = try parts["_parameters"].map { try entries(of: $0) } ?? []
        let buffers = try parts["_buffers"].map { try entries(of: $0) } ?? []
        let networks = try parts["_modules"].map { try entries(of: $0) } ?? []
        return parameters.filter { $0.value != .nothing }
            + buffers.filter { $0.value != .nothing && !passing.contains($0.key) }
            + networks.filter { $0.value != .nothing }
    }

    /// The texts in a set: a node of its own since protocol 4; before, a call of `set` on a list.
    private mutating func names(in set: PickleValue) throws -> Set<String> {
        var items = graph.items(set)
        if graph.kind(set) == .object {
            items = graph.items(graph.items(items.dropFirst().first ?? .nothing).first ?? .nothing)
        }
        try budget.spend(items.count * 8, on: "a set of names")
        var names: Set<String> = []
        for case .text(let span) in items where Int(span.count) <= Self.nameLimit {
            try budget.spend(Int(span.count), on: "a set of names")
            names.insert(graph.bytes.text(span.range))
        }
        return names
    }

    /// Full names of what can hold tensors, and of a few other entries at the top for the remark about them.
    private mutating func named(_ entries: [Entry], below prefix: String) throws -> [(PickleValue, String)] {
        var others = prefix.isEmpty ? 8 : 0
        var children: [(PickleValue, String)] = []
        for (key, value) in entries {
            if graph.kind(value) == nil {
                others -= 1
                if others < 0 { continue }
            }
            let name = prefix.isEmpty ? key : "\(prefix).\(key)"
            guard name.utf8.count <= Self.nameLimit else {
                throw storages.bytes.damaged("a name is longer than \(Self.nameLimit) bytes: it contains itself")
            }
            try budget.spend(16 + name.utf8.count, on: "'\(PickleGraph.printable(name))'")
            children.append((value, name))
        }
        return children
    }
}
