import Hummingbird
import NIOCore
import Viseme

/// The body of a request, as it comes: not more than is allowed, and not faster.
struct BoundedBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    private let body: RequestBody
    private let limit: Int
    private let bytesPerSecond: Int

    /// Bounds a body by the configuration.
    ///
    /// - Throws: `.tooLarge` at once where the length is declared; else when the limit is passed.
    init(_ request: Request, _ configuration: ServerConfiguration) throws {
        body = request.body
        limit = configuration.maxBodyBytes
        bytesPerSecond = configuration.uploadBytesPerSecond
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLarge }
    }

    private var tooLarge: VisemeError {
        VisemeError(.tooLarge, "The body is longer than \(limit) bytes", hint: "Send it in parts.")
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

        mutating func next() async throws -> ByteBuffer? {
            let earliest = start + .seconds(Double(count) / Double(bounds.bytesPerSecond))
            if earliest > .now + .milliseconds(20) { try await Task.sleep(until: earliest) }
            guard let buffer = try await body.next(isolation: #isolation) else { return nil }
            count += buffer.readableBytes
            guard count <= bounds.limit else { throw bounds.tooLarge }
            return buffer
        }
    }
}
