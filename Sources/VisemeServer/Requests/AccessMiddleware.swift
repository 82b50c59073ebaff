import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import Viseme

/// Checks the host and the origin of a request, and tells whose request it is.
struct AccessMiddleware: RouterMiddleware {
    let configuration: ServerConfiguration

    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.client = client(of: request, at: context.client)
        try checkHost(request)
        try checkOrigin(request)
        return try await next(request, context)
    }

    /// The nearest address that is not a trusted proxy's: what stands further to the left, anybody may have written.
    private func client(of request: Request, at address: String) -> String {
        guard configuration.trustedProxies.contains(address), let header = request.headers[.forwardedFor] else {
            return address
        }
        let hops = header.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        return hops.last { !configuration.trustedProxies.contains($0) && !$0.isEmpty } ?? address
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

    /// A page of another origin may use the server only if the origin is allowed.
    private func checkOrigin(_ request: Request) throws {
        guard let origin = request.headers[.origin], !configuration.allowedOrigins.contains(origin) else { return }
        let parts = origin.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        if parts.count == 3, parts[1].isEmpty, String(parts[2]) == request.head.authority { return }
        throw VisemeError(
            .forbidden, "Pages of '\(origin)' may not use this server", hint: "Name it in \"allowedOrigins\".")
    }

    private static func host(of authority: String) -> String {
        guard let colon = authority.lastIndex(of: ":"), authority[colon...].dropFirst().allSatisfy(\.isNumber) else {
            return authority
        }
        return String(authority[..<colon])
    }
}

/// Checks the API key. It stands on the groups of routes that need one, so that no spelling of a path goes around it.
struct KeyMiddleware: RouterMiddleware {
    let keys: [ServerConfiguration.APIKey]

    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard !keys.isEmpty else { return try await next(request, context) }
        guard let name = name(of: request) else {
            throw VisemeError(
                .unauthorized, "This address needs an API key", hint: "Send it as: Authorization: Bearer KEY")
        }
        var context = context
        context.client = name
        return try await next(request, context)
    }

    private func name(of request: Request) -> String? {
        guard let header = request.headers[.authorization], header.lowercased().hasPrefix("bearer ") else { return nil }
        let digest = hexDigest(of: header.dropFirst(7))
        // All of them are compared, so that the time tells nothing.
        return keys.reduce(nil as String?) { found, key in
            equalInConstantTime(digest, key.sha256.lowercased()) ? key.name : found
        }
    }
}

/// Lets the pages of allowed origins read every answer, errors included.
struct CrossOriginMiddleware: RouterMiddleware {
    let origins: [String]

    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin], origins.contains(origin) else {
            return try await next(request, context)
        }
        let isQuestion = request.method == .options && request.headers[.accessControlRequestMethod] != nil
        var response = isQuestion ? Response(status: .noContent) : try await next(request, context)
        for field in Self.headers(for: origin) { response.headers[field.name] = field.value }
        return response
    }

    private static func headers(for origin: String) -> HTTPFields {
        [
            .accessControlAllowOrigin: origin, .vary: "Origin", .accessControlAllowMethods: "GET, HEAD, POST, DELETE",
            .accessControlAllowHeaders: "Authorization, Content-Type, Idempotency-Key, Range, Viseme-Session-Secret",
            .accessControlExposeHeaders: "Location, Retry-After, Content-Range, Accept-Ranges, ETag",
            .accessControlMaxAge: "600",
            // A video element asks without an Origin of its own making; what is allowed here may be shown there.
            SecurityHeadersMiddleware.resourcePolicy: "cross-origin",
        ]
    }
}

/// SHA-256 in 64 lower-case hexadecimal digits.
func hexDigest(of text: some StringProtocol) -> String {
    SHA256.hash(data: Data(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
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

    private static let referrerPolicy = HTTPField.Name.name("Referrer-Policy")
    private static let permissionsPolicy = HTTPField.Name.name("Permissions-Policy")
    private static let openerPolicy = HTTPField.Name.name("Cross-Origin-Opener-Policy")
    static let resourcePolicy = HTTPField.Name.name("Cross-Origin-Resource-Policy")
}

extension HTTPField.Name {
    /// The addresses that a request came through, the client's first.
    static let forwardedFor = name("X-Forwarded-For")
}
