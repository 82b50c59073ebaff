import Viseme

/// The tensors of a checkpoint, handed out one by one to an architecture: what is missing, misshapen or left over is written down.
///
/// A loader that takes what matches and ignores the rest is how a network with random weights was shipped.
struct TensorLedger {
    private var left: [String: StoredTensor]
    private(set) var taken: [String: StoredTensor] = [:]
    private(set) var problems: [String] = []
    private let isOutline: Bool

    init(_ state: StateDict) {
        left = Dictionary(state.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        isOutline = false
    }

    /// A ledger that has every tensor, filled with zeros.
    init(outline: Void) {
        left = [:]
        isOutline = true
    }

    /// The shape of a tensor that was not taken yet.
    func shape(_ name: String) -> [Int]? { left[name]?.shape }

    /// Takes a weight of exactly this shape.
    mutating func take(_ name: String, _ shape: [Int]) {
        if isOutline {
            taken[name] = StoredTensor(name: name, shape: shape, floats: Array(repeating: 0, count: shape.reduce(1, *)))
            return
        }
        guard let tensor = left.removeValue(forKey: name) else {
            problems.append("missing: '\(name)' \(shape)")
            return
        }
        guard tensor.shape == shape else {
            problems.append("wrong shape: '\(name)' is \(tensor.shape), expected \(shape)")
            return
        }
        guard tensor.type.isFloatingPoint else {
            problems.append("wrong type: '\(name)' is \(tensor.type.rawValue), expected a floating-point type")
            return
        }
        let values = tensor.floats()
        if let bad = values.firstIndex(where: { !$0.isFinite }) {
            problems.append("not a number: '\(name)' has \(values[bad]) at element \(bad)")
        }
        taken[name] = StoredTensor(name: name, shape: shape, floats: values)
    }

    /// Takes a counter, which no arithmetic uses, if the file has it.
    mutating func takeCounter(_ name: String) { left[name] = nil }

    /// Everything that was taken.
    ///
    /// - Throws: `.badData` that lists every problem and every tensor of the file that nothing used.
    func settled(_ what: String) throws -> [String: StoredTensor] {
        let all = problems + left.keys.sorted().map { "not part of it: '\($0)' \(left[$0]?.shape ?? [])" }
        guard all.isEmpty else {
            let shown =
                all.prefix(20).joined(separator: "\n  ") + (all.count > 20 ? "\n  … and \(all.count - 20) more" : "")
            throw VisemeError(
                .badData, "This checkpoint is not \(what): \(all.count) of its tensors do not fit.\n  \(shown)",
                hint:
                    "Every tensor must be there with its exact shape, and none may be left over. viseme inspect shows what the file has."
            )
        }
        return taken
    }
}
