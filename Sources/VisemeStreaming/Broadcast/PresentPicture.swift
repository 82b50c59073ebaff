import Viseme

/// What a session shows at the moment: a drawn picture, or one of the template at a position.
struct PresentPicture: Sendable {
    /// The drawn picture; nil while a template frame is shown.
    private(set) var drawn: (any Picture)?
    /// Which template frame; nil while a drawn picture is shown, and before the first unit.
    private(set) var templatePosition: Int?

    /// Takes a unit's picture, if it brings one.
    ///
    /// - Returns: Whether it brings one.
    mutating func take(_ unit: LiveUnit) -> Bool {
        guard unit.frame != nil || unit.templatePosition != nil else { return false }
        (drawn, templatePosition) = (unit.frame?.picture, unit.templatePosition)
        return true
    }

    /// The picture itself; the template's first one before any unit.
    func picture(of engine: Engine) async throws -> any Picture {
        if let drawn { return drawn }
        return try await engine.templateFrame(at: templatePosition ?? 0).picture
    }
}
