import Hummingbird
import Logging
import NIOCore

/// The context of a request.
struct ServerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection.
    let channel: any Channel
    /// The client: an API key's name, or else an address.
    var client: String

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        client = source.channel.remoteAddress?.ipAddress ?? "local"
    }
}
