/// What a generator keeps of the template frames; printed in reports.
public struct TemplateKeeping: Sendable, Equatable, Codable {
    /// The tensors that are kept, by their names in the network.
    public var tensors: [String]
    /// Bytes a template frame.
    public var bytesPerFrame: Int
    /// Template frames that are kept: 0..<frames; the others are computed every time.
    public var frames: Int
    /// Why nothing is kept; nil where something is.
    public var reason: String?

    /// Describes what is kept.
    public init(tensors: [String], bytesPerFrame: Int, frames: Int) {
        self.tensors = tensors
        self.bytesPerFrame = bytesPerFrame
        self.frames = frames
    }

    /// Nothing is kept.
    public static func nothing(because reason: String) -> TemplateKeeping {
        var keeping = TemplateKeeping(tensors: [], bytesPerFrame: 0, frames: 0)
        keeping.reason = reason
        return keeping
    }
}
