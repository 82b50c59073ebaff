import Foundation
import Hummingbird
import NIOCore
import Viseme
import VisemeStreaming

/// The body of a request, limited in size and rate.
struct BoundedBody: AsyncSequence, Sendable {
    typealias Element = Data
    private let body: RequestBody
    private let limit: Int
    private let bytesPerSecond: Int

    /// Limits a body as the configuration says.
    ///
    /// - Parameter limit: The most bytes; those of an upload by default.
    /// - Throws: `.tooLarge`: at once for a declared length, otherwise while it is read.
    init(_ request: Request, _ configuration: ServerConfiguration, limit: Int? = nil) throws {
        body = request.body
        self.limit = limit ?? configuration.maxBodyBytes
        bytesPerSecond = configuration.uploadBytesPerSecond
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > self.limit { throw tooLarge }
    }

    private var tooLarge: VisemeError {
        VisemeError(.tooLarge, "The body is longer than \(limit) bytes", hint: "Send it in several requests.")
    }

    func makeAsyncIterator() -> Iterator { Iterator(body: body.makeAsyncIterator(), bounds: self) }

    struct Iterator: AsyncIteratorProtocol {
        fileprivate var body: RequestBody.AsyncIterator
        fileprivate let bounds: BoundedBody
        private let start = ContinuousClock.now
        private var count = 0

        fileprivate init(body: RequestBody.AsyncIterator, bounds: BoundedBody) {
            self.body = body
            self.bounds = bounds
        }

        mutating func next() async throws -> Data? {
            let earliest = start + .seconds(Double(count) / Double(bounds.bytesPerSecond))
            if earliest > .now + .milliseconds(20) { try await Task.sleep(until: earliest) }
            guard let buffer = try await body.next(isolation: #isolation) else { return nil }
            count += buffer.readableBytes
            guard count <= bounds.limit else { throw bounds.tooLarge }
            return Data(buffer.readableBytesView)
        }
    }
}
