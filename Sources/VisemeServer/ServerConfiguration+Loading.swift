public import Foundation
import Logging
import Viseme

extension ServerConfiguration {
    /// Reads a configuration: the defaults, then the file, then the environment.
    ///
    /// - Parameters:
    ///   - file: JSON, an object; nil for none.
    ///   - environment: Environment variables; those that match no setting are ignored.
    /// - Throws: `.noInput` when the file is missing; `.usage` for an unknown key, a wrong type or an invalid value.
    public static func load(file: URL?, environment: [String: String]) throws -> ServerConfiguration {
        var values = try object(JSONEncoder().encode(ServerConfiguration()), of: "the defaults")
        if let file {
            guard let data = FileManager.default.contents(atPath: file.path) else {
                throw VisemeError(.noInput, "The configuration '\(file.path)' cannot be read")
            }
            for (key, value) in try object(data, of: "'\(file.path)'") {
                guard values[key] != nil else {
                    throw VisemeError(
                        .usage, "'\(file.path)' has the unknown key \"\(key)\"",
                        hint: "keys: \(values.keys.sorted().joined(separator: ", "))")
                }
                values[key] = value
            }
        }
        for key in values.keys {
            guard let text = environment[variable(of: key)] else { continue }
            values[key] = try parse(text, like: values[key], variable: variable(of: key))
        }
        do {
            let data = try JSONSerialization.data(withJSONObject: values)
            return try JSONDecoder().decode(ServerConfiguration.self, from: data)
        } catch DecodingError.typeMismatch(let type, let context) {
            let key = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw VisemeError(.usage, "The setting \"\(key)\" is not of type \(type)")
        } catch DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty {
            let key = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw VisemeError(.usage, "The setting \"\(key)\" has an unknown value", hint: "docs/server.md lists them.")
        } catch DecodingError.keyNotFound(let key, let context) {
            let parent = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw VisemeError(.usage, "The setting \"\(parent)\" lacks \"\(key.stringValue)\"")
        } catch let error as DecodingError {
            throw VisemeError(.usage, "The configuration is invalid", cause: error)
        }
    }

    /// The environment variable of a setting: `maxSessions` → VISEME_MAX_SESSIONS.
    static func variable(of key: String) -> String {
        "VISEME_" + key.reduce(into: "") { $0 += $1.isUppercase ? "_\($1)" : $1.uppercased() }
    }

    private static func object(_ data: Data, of name: String) throws -> [String: Any] {
        // Invalid JSON is reported below.
        guard let object = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
            throw VisemeError(.usage, "The configuration in \(name) is not a JSON object")
        }
        return object
    }

    private static func parse(_ text: String, like value: Any?, variable: String) throws -> Any {
        if value is String { return text }
        if value is [Any], !text.hasPrefix("[") {
            // Folders are separated as in PATH; other values may contain colons.
            let separator: Character = variable == Self.variable(of: "avatars") ? ":" : ","
            return text.split(separator: separator).map { $0.trimmingCharacters(in: .whitespaces) }
        }
        // Invalid JSON is reported below.
        guard let parsed = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) else {
            throw VisemeError(.usage, "\(variable) is '\(text)', which is not of the setting's type")
        }
        return parsed
    }

    /// Checks every value, and replaces 0 where the value depends on the machine.
    ///
    /// - Parameter cores: The number of processor cores.
    /// - Throws: `.usage` naming the setting, the expected and the actual value.
    public func checked(cores: Int = ProcessInfo.processInfo.activeProcessorCount) throws -> ServerConfiguration {
        var result = self
        if maxSessions == 0 { result.maxSessions = 4 * max(1, cores) }
        if maxSpeaking == 0 { result.maxSpeaking = max(1, cores) }
        func require(_ value: Int, _ range: ClosedRange<Int>, _ name: String) throws {
            guard range.contains(value) else {
                throw VisemeError(.usage, "\"\(name)\" is \(value), expected \(range.lowerBound)…\(range.upperBound)")
            }
        }
        try require(port, 0...65535, "port")
        try require(result.maxSessions, 1...10_000, "maxSessions")
        try require(result.maxSpeaking, 1...10_000, "maxSpeaking")
        try require(maxSessionsPerClient, 1...10_000, "maxSessionsPerClient")
        try require(maxViewersPerSession, 1...1000, "maxViewersPerSession")
        try require(maxConnections, 1...100_000, "maxConnections")
        try require(maxLoadedAvatars, 1...1000, "maxLoadedAvatars")
        try require(maxBodyBytes, 1...(1 << 40), "maxBodyBytes")
        try require(uploadBytesPerSecond, 1000...(1 << 40), "uploadBytesPerSecond")
        try require(maxSpeechSeconds, 1...86_400, "maxSpeechSeconds")
        try require(maxTextCharacters, 1...10_000, "maxTextCharacters")
        try require(requestIdleSeconds, 1...86_400, "requestIdleSeconds")
        try require(sessionIdleSeconds, 1...86_400, "sessionIdleSeconds")
        try require(sessionQuietSeconds, 1...86_400, "sessionQuietSeconds")
        try require(viewerLagSeconds, 1...60, "viewerLagSeconds")
        try require(crf, 0...51, "crf")
        try require(maxRenders, 1...1000, "maxRenders")
        try require(maxWaitingRenders, 1...100_000, "maxWaitingRenders")
        try require(maxKeptRenders, 1...1_000_000, "maxKeptRenders")
        try require(renderKeepHours, 1...87_600, "renderKeepHours")
        try require(maxRenderSeconds, 1...864_000, "maxRenderSeconds")
        try require(speechCommandSeconds, 1...3600, "speechCommandSeconds")
        try require(shutdownSeconds, 1...3600, "shutdownSeconds")
        try require(drainSeconds, 0...86_400, "drainSeconds")
        try require(maxConnectionsPerClient, 1...100_000, "maxConnectionsPerClient")
        try require(maxSpeakingPerClient, 0...10_000, "maxSpeakingPerClient")
        try require(speechPauseSeconds, 1...3600, "speechPauseSeconds")
        try require(maxWaitingRendersPerClient, 1...100_000, "maxWaitingRendersPerClient")
        try require(maxWaitingSecondsPerClient, 1...(1 << 40), "maxWaitingSecondsPerClient")
        try require(maxAvatarBytes, 1...(1 << 40), "maxAvatarBytes")
        try require(maxUploadedAvatars, 1...10_000, "maxUploadedAvatars")
        try require(maxDataBytes, 1...(1 << 50), "maxDataBytes")
        if maxSpeakingPerClient == 0 {
            // A single client may use the whole machine; otherwise one slot is left for others.
            let hasOthers = !apiKeys.isEmpty || !trustedProxies.isEmpty || !isLocal
            result.maxSpeakingPerClient = hasOthers ? max(1, result.maxSpeaking - 1) : result.maxSpeaking
        }
        for origin in allowedOrigins {
            let parts = origin.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 3, ["http:", "https:"].contains(parts[0]), parts[1].isEmpty, !parts[2].isEmpty else {
                throw VisemeError(
                    .usage, "\"allowedOrigins\" has '\(origin)', which is not an origin",
                    hint: "An origin is scheme://host[:port], such as https://example.org, without a path.")
            }
        }
        guard node.wholeMatch(of: /[a-z0-9]{0,16}/) != nil else {
            throw VisemeError(
                .usage, "\"node\" is '\(node.prefix(64))', expected at most 16 lower-case letters and digits")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw VisemeError(.usage, "\"logLevel\" is '\(logLevel)', expected one of: \(levels)")
        }
        for key in apiKeys + adminKeys where key.sha256.count != 64 || !key.sha256.allSatisfy(\.isHexDigit) {
            throw VisemeError(
                .usage, "The API key \"\(key.name)\" has a \"sha256\" that is not 64 hexadecimal digits",
                hint: "printf %s KEY | sha256sum")
        }
        guard isLocal || !apiKeys.isEmpty || allowOpenAccess else {
            throw VisemeError(
                .usage, "Without API keys the server listens on 127.0.0.1 only, not on '\(host)'",
                hint: "Add \"apiKeys\" to the configuration, or set \"allowOpenAccess\" to let everyone use it.")
        }
        return result
    }

    /// A new random id of a session or render of this server.
    func newID(bytes: Int) -> String {
        let token = randomToken(bytes: bytes)
        return node.isEmpty ? token : "\(node)-\(token)"
    }

    /// Whether the server listens on the loopback address only.
    var isLocal: Bool { ["127.0.0.1", "localhost", "::1"].contains(host) }
}
