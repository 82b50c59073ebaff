import Viseme

/// How much a checkpoint may unfold into: **four times the file and 64 KB**, for the tensors' bytes, their names and the
/// steps of finding them together. Storages shared by several tensors and views that repeat elements can make a small
/// file describe terabytes.
struct CheckpointBudget {
    private let name: String
    private let total: Int
    private var left: Int

    init(_ bytes: CheckpointBytes) {
        name = bytes.name
        total = bytes.count * 4 + 65_536
        left = total
    }

    mutating func spend(_ bytes: Int, on thing: @autoclosure () -> String) throws {
        guard bytes <= left else {
            throw VisemeError(
                .badData,
                "'\(name)' unfolds into more than \(total) bytes, four times its size and 64 KB, at \(thing()).",
                hint: "It repeats or expands its tensors. Save contiguous copies: {k: v.contiguous().clone()}.")
        }
        left -= bytes
    }
}
