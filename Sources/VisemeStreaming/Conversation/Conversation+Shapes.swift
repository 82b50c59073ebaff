import Viseme

extension Conversation {
    /// Loads the articulator, if no one asked before.
    func beginShapes() async throws {
        let reader = try await avatar.engine.mouthReader()
        mouthReader = reader
    }

    /// What the mouth does in a unit; nil while no one asks.
    func shape(of unit: LiveUnit) async throws -> MouthShape? {
        guard !shapeListeners.isEmpty || !shapeReaders.isEmpty, let mouthReader else { return nil }
        if let featureWindow = unit.featureWindow {
            return try await mouthReader.shape(hearing: featureWindow)
        }
        // Without a picture the one before stays, and so does its mouth.
        return unit.frame == nil && unit.templatePosition == nil ? lastShape : .rest
    }

    /// Tells those who listen when the mouth moves. While it rests nothing is told.
    func tell(_ shape: MouthShape, of unit: LiveUnit) {
        defer { lastShape = shape }
        guard shape != lastShape else { return }
        let time = (Double(unit.index) + 0.5) / Double(LiveUnit.perSecond)
        listeners.send(.mouth(shape, time: time)) { shapeListeners.contains($0) }
    }
}
