import GRDB
import Hummingbird
public import ServiceLifecycle

/// HTTP for live sessions and render jobs.
public struct Server: Service {
    public init() {}

    public func run() async throws {}
}
