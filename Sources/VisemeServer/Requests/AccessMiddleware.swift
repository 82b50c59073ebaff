import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import Viseme

/// Checks the host and the origin of a request, and sets its client.
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

    /// The last address that is not a trusted proxy's: earlier ones can be forged.
    private func client(of request: Request, at address: String) -> String {
        guard configuration.trustedProxies.contains(address), let header = request.headers[.forwardedFor] else {
            return address
        }
        let hops = header.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        return hops.last { !configuration.trustedProxies.contains($0) && !$0.isEmpty } ?? address
    }

    /// Stops DNS rebinding: a page of another host name must not reach a server without keys.
    private func checkHost(_ request: Request) throws {
        guard configuration.isLocal, configuration.apiKeys.isEmpty, let authority = request.head.authority else {
            return
        }
        let name = Self.host(of: authority)
        guard ["127.0.0.1", "localhost", "[::1]"].contains(name) || configuration.allowedHosts.contains(name) else {
            throw VisemeError(
                .forbidden, "This server does not serve the host '\(name)'", hint: "Add it to \"allowedHosts\".")
        }
    }

    /// Refuses pages of origins that are not allowed.
    private func checkOrigin(_ request: Request) throws {
        guard let origin = request.headers[.origin], !configuration.allowedOrigins.contains(origin) else { return }
        let parts = origin.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        if parts.count == 3, parts[1].isEmpty, String(parts[2]) == request.head.authority { return }
        throw VisemeError(
            .forbidden, "Pages of '\(origin)' may not use this server", hint: "Add it to \"allowedOrigins\".")
    }

    private static func host(of authority: String) -> String {
        guard let colon = authority.lastIndex(of: ":"), authority[colon...].dropFirst().allSatisfy(\.isNumber) else {
            return authority
        }
        return String(authority[..<colon])
    }
}

/// Checks the API key. It belongs to a group of routes, so that no spelling of a path bypasses it.
struct KeyMiddleware: RouterMiddleware {
    let keys: [ServerConfiguration.APIKey]

    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard !keys.isEmpty else { return try await next(request, context) }
        guard let name = keys.owner(of: request) else {
            throw VisemeError(
                .unauthorized, "This address needs an API key", hint: "Send it as: Authorization: Bearer KEY")
        }
        var context = context
        context.client = name
        return try await next(request, context)
    }
}

extension [ServerConfiguration.APIKey] {
    /// The name of the key that a request has; nil where it is none of these.
    func owner(of request: Request) -> String? {
        guard let header = request.headers[.authorization], header.lowercased().hasPrefix("bearer ") else { return nil }
        let digest = hexDigest(of: header.dropFirst(7))
        // All keys are compared, so that the time reveals nothing.
        return reduce(nil as String?) { found, key in
            equalInConstantTime(digest, key.sha256.lowercased()) ? key.name : found
        }
    }
}

/// Lets pages of allowed origins read every response, including errors (CORS).
struct CrossOriginMiddleware: RouterMiddleware {
    let origins: [String]

    func handle(
        _ request: Request, context: ServerContext, next: @concurrent (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin], origins.contains(origin) else {
            return try await next(request, context)
        }
        let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil
        var response = isPreflight ? Response(status: .noContent) : try await next(request, context)
        for field in Self.headers(for: origin) { response.headers[field.name] = field.value }
        return response
    }

    private static func headers(for origin: String) -> HTTPFields {
        [
            .accessControlAllowOrigin: origin, .vary: "Origin", .accessControlAllowMethods: "GET, HEAD, POST, DELETE",
            .accessControlAllowHeaders: "Authorization, Content-Type, Idempotency-Key, Range, Viseme-Session-Secret",
            .accessControlExposeHeaders: "Location, Retry-After, Content-Range, Accept-Ranges, ETag",
            .accessControlMaxAge: "600",
            // A video element sends no Origin header by itself.
            SecurityHeadersMiddleware.resourcePolicy: "cross-origin",
        ]
    }
}

/// SHA-256 in 64 lower-case hexadecimal digits.
func hexDigest(of text: some StringProtocol) -> String {
    SHA256.hash(data: Data(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Compares two texts in a time that depends on their lengths alone.
func equalInConstantTime(_ a: String, _ b: String) -> Bool {
    let (x, y) = (Array(a.utf8), Array(b.utf8))
    var difference = x.count ^ y.count
    for i in 0..<min(x.count, y.count) { difference |= Int(x[i] ^ y[i]) }
    return difference == 0
}

/// A random secret in hexadecimal digits.
func randomToken(bytes: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<bytes).map { _ in String(format: "%02x", UInt8.random(in: 0...255, using: &generator)) }.joined()
}

/// Adds security headers for browsers.
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
    /// The addresses that a request passed through, the client's first.
    static let forwardedFor = name("X-Forwarded-For")
}
