extension GeneratorFamily {
    /// All families that this version of Viseme knows.
    public static let known: [GeneratorFamily] = [.syncTalk2D, .compact]

    /// The family of packs that name none.
    public static let unnamed = GeneratorFamily.syncTalk2D

    /// The name as `avatar.json` has it: nil, and not written, for the family of packs that name none.
    public var manifestName: String? { self == .unnamed ? nil : name }

    /// The family with a name, as `avatar.json` has it.
    ///
    /// - Parameter name: The name; nil for the family of packs that name none.
    /// - Throws: `.unsupported` naming the known families.
    public static func named(_ name: String?) throws -> GeneratorFamily {
        guard let name else { return .unnamed }
        guard let family = known.first(where: { $0.name == name }) else {
            let names = known.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw VisemeError(
                .unsupported, "There is no family \"\(name)\", this Viseme knows \(names).",
                hint: "Use the Viseme that made the pack, or correct \"family\" in avatar.json.")
        }
        return family
    }
}
