import Viseme

/// The names that clients give to utterances. No name is used twice, and each has one end.
struct UtteranceNames: Sendable {
    /// The most named utterances that are not over.
    static let most = 256
    /// The names that are remembered, so that none is used twice.
    static let remembered = 4096

    private var names: [Int: String] = [:]
    private var used: Set<String> = []
    private var order: [String] = []

    /// Whether something can be the name of an utterance.
    ///
    /// - Throws: `.usage`.
    static func check(_ name: String) throws {
        let isName = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: ":"):
                true
            default: false
            }
        }
        guard isName, (1...64).contains(name.utf8.count) else {
            throw VisemeError(
                .usage, "The name of an utterance has \(name.utf8.count) bytes, or other characters than expected",
                hint: "Use 1 to 64 letters, digits, '-', '_', '.' and ':'.")
        }
    }

    /// Whether a new utterance can have a name.
    ///
    /// - Throws: `.conflict` for a name that was used; `.busy` when too many utterances wait.
    func checkNew(_ name: String) throws {
        guard !used.contains(name) else {
            throw VisemeError(
                .conflict, "The utterance '\(name)' was finished or interrupted before",
                hint: "Give each utterance a name of its own.")
        }
        guard names.count < Self.most else {
            throw VisemeError(.busy, "\(names.count) utterances wait to be spoken", hint: "Wait until one is over.")
        }
    }

    /// Remembers a name. One without a number was interrupted before it began.
    mutating func add(_ name: String, number: Int?) {
        if let number { names[number] = name }
        used.insert(name)
        order.append(name)
        guard order.count > Self.remembered else { return }
        used.remove(order.removeFirst())
    }

    /// The name of an utterance; empty for none.
    func name(of number: Int) -> String { names[number] ?? "" }

    /// The utterance is over.
    ///
    /// - Returns: Its name; empty for none.
    mutating func end(_ number: Int) -> String { names.removeValue(forKey: number) ?? "" }
}
