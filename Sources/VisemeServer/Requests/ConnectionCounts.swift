import NIOCore
import Synchronization

/// Connections by address.
final class ConnectionCounts: Sendable {
    private let limit: Int
    private let exempt: [String]
    private let counts = Mutex([String: Int]())

    /// - Parameters:
    ///   - limit: The most connections of one address.
    ///   - exempt: Addresses without a limit.
    init(limit: Int, exempt: [String]) { (self.limit, self.exempt) = (limit, exempt) }

    /// Adds a connection.
    ///
    /// - Returns: Whether it is within the limit.
    func enter(_ address: String) -> Bool {
        counts.withLock { counts in
            counts[address, default: 0] += 1
            return counts[address, default: 0] <= limit || exempt.contains(address)
        }
    }

    /// Removes a connection.
    func leave(_ address: String) {
        counts.withLock { counts in
            counts[address, default: 0] -= 1
            if counts[address, default: 0] <= 0 { counts[address] = nil }
        }
    }
}

/// Closes connections beyond the limit of their address, so that one client cannot use all of them.
final class ConnectionCount: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let counts: ConnectionCounts
    private var address: String?

    init(_ counts: ConnectionCounts) { self.counts = counts }

    func handlerAdded(context: ChannelHandlerContext) {
        let address = context.channel.remoteAddress?.ipAddress ?? "local"
        self.address = address
        if !counts.enter(address) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if let address { counts.leave(address) }
        address = nil
    }
}
