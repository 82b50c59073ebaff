import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Viseme
import VisemeStreaming

extension VisemeError.Code {
    /// The request has no key, or a wrong one.
    static let unauthorized = VisemeError.Code(rawValue: "unauthorized")
    /// The request's host or origin is not allowed.
    static let forbidden = VisemeError.Code(rawValue: "forbidden")
    /// The HTTP status.
    var status: HTTPResponse.Status {
        switch self {
        case .usage, .badData, .noInput: .badRequest
        case .notFound: .notFound
        case .unauthorized: .unauthorized
        case .forbidden: .forbidden
        case .conflict: .conflict
        case .tooLarge: .contentTooLarge
        case .busy: .serviceUnavailable
        case .unavailable: .notImplemented
        case .timedOut: .gatewayTimeout
        case .unsupported: .unsupportedMediaType
        case .full, .cannotCreate: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
        default: .internalServerError
        }
    }
}

/// The body of every error response.
struct FailureDocument: Codable, Sendable {
    struct Failure: Codable, Sendable {
        var code: String
        var message: String
        var hint: String?
    }
    var error: Failure
}

/// Turns errors into responses; internal details are logged and not sent to the client.
struct FailureMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            return respond(to: error, request, context)
        }
    }

    private func respond(to error: any Error, _ request: Request, _ context: ServerContext) -> Response {
        var failure: VisemeError
        var status: HTTPResponse.Status
        switch error {
        case let error as VisemeError:
            (failure, status) = (error, error.code.status)
            if status == .internalServerError || error.code == .cannotCreate {
                context.logger.error("\(request.method) \(request.uri.path): \(error)")
                failure = VisemeError(
                    error.code, "The server failed to handle this request", hint: "See the server's log.")
            }
        case let error as any HTTPResponseError:
            status = error.status
            failure = VisemeError(.usage, "\(status.reasonPhrase): \(request.method) \(request.uri.path)")
            if status == .notFound { failure.code = .notFound }
            if status == .contentTooLarge { failure.code = .tooLarge }
        case is CancellationError:
            (failure, status) = (VisemeError(.busy, "The server is stopping"), .serviceUnavailable)
        case is HTTPParserError, is ChannelError, is IOError:
            // The client disconnected, or did not send valid HTTP.
            context.logger.debug("\(request.method) \(request.uri.path): \(error)")
            failure = VisemeError(
                .badData, "The request body ended early or is not valid HTTP",
                hint: "Send Content-Length bytes, or chunks with valid sizes.")
            status = .badRequest
        default:
            context.logger.error("\(request.method) \(request.uri.path): \(error)")
            (failure, status) = (
                VisemeError(.internal, "The server failed to handle this request"), .internalServerError
            )
        }
        let document = FailureDocument(
            error: .init(code: failure.code.rawValue, message: failure.message, hint: failure.hint))
        var response = Response.json(document, status: status)
        // A response to HEAD has no body; a client would take it for the next response.
        if request.method == .head { response.body = ResponseBody() }
        if failure.code == .busy { response.headers[.retryAfter] = "2" }
        if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        closeIfUnread(request, context, &response)
        return response
    }

    /// Closes the connection of a refused upload instead of reading the rest.
    private func closeIfUnread(_ request: Request, _ context: ServerContext, _ response: inout Response) {
        let length = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        guard length > 1 << 16 || request.headers[.transferEncoding] != nil else { return }
        response.headers[.connection] = "close"
        let channel = context.channel
        // Not at once: the response would be lost with the unread bytes.
        channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
    }
}

extension JSONEncoder {
    /// The encoder for responses and events.
    static var document: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return encoder
    }
}

extension Response {
    /// A JSON document.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        // Our documents hold only numbers and texts, which can always be encoded.
        let data = (try? JSONEncoder.document.encode(value)) ?? Data("{}".utf8)
        return Response(
            status: status, headers: [.contentType: "application/json; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
    }
}

extension Request {
    /// Decodes a small JSON body.
    ///
    /// - Throws: `.usage` when it does not match the type.
    func json<Value: Decodable>(_ type: Value.Type, upTo limit: Int = 1 << 16) async throws -> Value {
        let buffer = try await body.collect(upTo: limit)
        do {
            let data = Data(buffer.readableBytesView)
            if let object = try JSONSerialization.jsonObject(with: data) as? [String: Any],
                let key = object.first(where: { $0.value is NSNull })?.key
            {
                throw VisemeError(.usage, "In the JSON body \"\(key)\" is null", hint: "Leave it out.")
            }
            return try JSONDecoder().decode(type, from: data)
        } catch let error as VisemeError {
            throw error
        } catch DecodingError.keyNotFound(let key, _) {
            throw VisemeError(.usage, "The JSON body lacks \"\(key.stringValue)\"")
        } catch DecodingError.typeMismatch(let type, let context) {
            let key = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw VisemeError(.usage, "In the JSON body \"\(key)\" is not of type \(type)")
        } catch {
            throw VisemeError(.usage, "The body is not the expected JSON")
        }
    }
}
