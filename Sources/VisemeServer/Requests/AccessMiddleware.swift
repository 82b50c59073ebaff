import Foundation
import HTTPTypes
import Hummingbird
import Viseme

/// Who may ask, and from where.
struct AccessMiddleware: RouterMiddleware {
    let configuration: ServerConfiguration

    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        try checkHost(request)
        let origin = try allowedOrigin(of: request)
        if request.method == .options, let origin, request.headers[.accessControlRequestMethod] != nil {
            return Response(status: .noContent, headers: Self.crossOrigin(origin))
        }
        var context = context
        if needsKey(request) {
            guard let name = key(of: request) else {
                throw VisemeError(
                    .unauthorized, "This address needs an API key", hint: "Send it as: Authorization: Bearer KEY")
            }
            context.client = name
        }
        var response = try await next(request, context)
        if let origin { for field in Self.crossOrigin(origin) { response.headers[field.name] = field.value } }
        return response
    }

    /// A session's own addresses are opened by its secret, which was given for a key.
    private func needsKey(_ request: Request) -> Bool {
        guard !configuration.apiKeys.isEmpty else { return false }
        let path = request.uri.path
        return (path.hasPrefix("/v1/") && !path.hasPrefix("/v1/sessions/")) || path == "/metrics"
    }

    private func key(of request: Request) -> String? {
        guard let header = request.headers[.authorization], header.lowercased().hasPrefix("bearer ") else { return nil }
        let digest = ModelFile.sha256(of: Data(header.dropFirst(7).utf8))
        // All of them are compared, so that the time tells nothing.
        return configuration.apiKeys.reduce(nil as String?) { found, key in
            equalInConstantTime(digest, key.sha256.lowercased()) ? key.name : found
        }
    }

    /// A page of another name that was made to point here must not reach a server without keys.
    private func checkHost(_ request: Request) throws {
        guard configuration.isLocal, configuration.apiKeys.isEmpty, let authority = request.head.authority else {
            return
        }
        let name = Self.host(of: authority)
        guard ["127.0.0.1", "localhost", "[::1]"].contains(name) || configuration.allowedHosts.contains(name) else {
            throw VisemeError(
                .forbidden, "This server does not answer for '\(name)'", hint: "Name it in \"allowedHosts\".")
        }
    }

    /// The origin of a page elsewhere that may use the server; nil for the server's own, and where there is none.
    private func allowedOrigin(of request: Request) throws -> String? {
        guard let origin = request.headers[.origin] else { return nil }
        if configuration.allowedOrigins.contains(origin) { return origin }
        let parts = origin.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        if parts.count == 3, parts[1].isEmpty, String(parts[2]) == request.head.authority { return nil }
        throw VisemeError(
            .forbidden, "Pages of '\(origin)' may not use this server", hint: "Name it in \"allowedOrigins\".")
    }

    private static func host(of authority: String) -> String {
        guard let colon = authority.lastIndex(of: ":"), authority[colon...].dropFirst().allSatisfy(\.isNumber) else {
            return authority
        }
        return String(authority[..<colon])
    }

    private static func crossOrigin(_ origin: String) -> HTTPFields {
        [
            .accessControlAllowOrigin: origin, .vary: "Origin", .accessControlAllowMethods: "GET, POST, DELETE",
            .accessControlAllowHeaders: "Authorization, Content-Type, Idempotency-Key, Range, Viseme-Session-Secret",
            .accessControlMaxAge: "600",
        ]
    }
}

/// Whether two texts are equal, in a time that depends on their lengths alone.
func equalInConstantTime(_ a: String, _ b: String) -> Bool {
    let (x, y) = (Array(a.utf8), Array(b.utf8))
    var difference = x.count ^ y.count
    for i in 0..<min(x.count, y.count) { difference |= Int(x[i] ^ y[i]) }
    return difference == 0
}

/// A secret that nobody guesses, in hexadecimal digits.
func randomToken(bytes: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<bytes).map { _ in String(format: "%02x", UInt8.random(in: 0...255, using: &generator)) }.joined()
}

/// Headers that tell browsers what a response is not for.
struct SecurityHeadersMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        let headers: HTTPFields = [
            .contentSecurityPolicy:
                "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
                + "form-action 'self'; frame-ancestors 'none'",
            .xContentTypeOptions: "nosniff",
            Self.referrerPolicy: "no-referrer",
            Self.permissionsPolicy: "microphone=(self), camera=(), geolocation=()",
            Self.openerPolicy: "same-origin",
            Self.resourcePolicy: "same-origin",
            .cacheControl: "no-store",
        ]
        for field in headers where response.headers[field.name] == nil { response.headers[field.name] = field.value }
        return response
    }

    private static func name(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("'\(text)' is a header's name") }
        return name
    }
    private static let referrerPolicy = name("Referrer-Policy")
    private static let permissionsPolicy = name("Permissions-Policy")
    private static let openerPolicy = name("Cross-Origin-Opener-Policy")
    private static let resourcePolicy = name("Cross-Origin-Resource-Policy")
}
