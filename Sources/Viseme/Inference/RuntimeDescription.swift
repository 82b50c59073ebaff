/// What runs a model: printed in reports.
public struct RuntimeDescription: Sendable, Equatable, Codable {
    /// "ONNX Runtime".
    public var runtime: String
    /// The runtime's version as it names itself.
    public var version: String
    /// The provider that runs the nodes: "CPU".
    public var provider: String
    /// Threads of one inference.
    public var threads: Int

    /// Makes a description.
    public init(runtime: String, version: String, provider: String, threads: Int) {
        self.runtime = runtime
        self.version = version
        self.provider = provider
        self.threads = threads
    }
}
