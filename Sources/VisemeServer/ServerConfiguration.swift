/// Everything that can be set about a server. Every limit is here, with its default.
///
/// A value comes, later ones first, from a flag, the environment (`maxSessions` is VISEME_MAX_SESSIONS), a JSON file with
/// these names as keys, or the default.
public struct ServerConfiguration: Sendable, Codable, Equatable {
    /// A client that may use the server.
    public struct APIKey: Sendable, Codable, Equatable {
        /// Its name, in logs and for `maxSessionsPerClient`.
        public var name: String
        /// SHA-256 of the key in 64 hexadecimal digits; the key itself is stored nowhere.
        public var sha256: String

        /// Names a key by its hash.
        public init(name: String, sha256: String) { (self.name, self.sha256) = (name, sha256) }
    }

    // MARK: Place

    /// The address to listen on: a name or a number.
    public var host = "127.0.0.1"
    /// The port to listen on; 0 for any free one.
    public var port = 8080
    /// Folders with avatar packs. A pack's id is its folder's name without `.avatar`.
    public var avatars = ["avatars"]
    /// The folder for what must survive a restart.
    public var data = "viseme-data"
    /// The avatar that is loaded before the server is ready, and taken where a session names none; empty for the first.
    public var defaultAvatar = ""

    // MARK: Access

    /// Who may use the server; nobody needs a key while there is none.
    public var apiKeys: [APIKey] = []
    /// Whether a server without keys may listen on more than 127.0.0.1.
    public var allowOpenAccess = false
    /// Web origins other than the server's own whose pages may use it, such as `https://example.org`; none by default.
    public var allowedOrigins: [String] = []
    /// Names under which the server is reached, such as `talk.example.org`, when it listens on 127.0.0.1 behind a proxy. A
    /// request for another name is refused there, so that no web page can rebind its own name to the server.
    public var allowedHosts: [String] = []

    /// Addresses of proxies in front of the server. Only what they say about the client (`X-Forwarded-For`) is believed.
    public var trustedProxies: [String] = []

    // MARK: Capacity

    /// Sessions at once; 0 for four a core. Beyond: 503 with Retry-After.
    public var maxSessions = 0
    /// Sessions that speak at once; 0 for one a core. Beyond: 503 with Retry-After.
    public var maxSpeaking = 0
    /// Sessions of one client that speak at once; 0 for all but one where there may be other clients (keys, proxies, a public
    /// address), else for all.
    public var maxSpeakingPerClient = 0
    /// Seconds without sound after which a session that is being spoken to loses its place among those that speak. It takes one
    /// again when sound comes.
    public var speechPauseSeconds = 5
    /// Sessions of one client at once, by API key or else by address.
    public var maxSessionsPerClient = 4
    /// Streams of one session that are watched at once.
    public var maxViewersPerSession = 4
    /// Connections at once; more wait to be accepted.
    public var maxConnections = 256
    /// Connections of one address at once, trusted proxies excepted; more are closed.
    public var maxConnectionsPerClient = 64
    /// Avatars whose models are in memory at once. The one that was used longest ago makes room if nobody uses it; where all
    /// are in use, another one is refused with 503.
    public var maxLoadedAvatars = 4

    // MARK: Requests

    /// Bytes of one upload.
    public var maxBodyBytes = 256 << 20
    /// Bytes a second of one upload; a faster one is slowed down.
    public var uploadBytesPerSecond = 8 << 20
    /// Seconds of speech in one upload or text.
    public var maxSpeechSeconds = 600
    /// Characters of one text.
    public var maxTextCharacters = 2000
    /// Seconds for which a connection may be silent while a request is expected or incomplete.
    public var requestIdleSeconds = 60

    // MARK: Sessions

    /// Seconds after which a session ends that nobody watches and nobody calls.
    public var sessionIdleSeconds = 60
    /// Seconds after which a session ends that is watched, but has nothing to say.
    public var sessionQuietSeconds = 900
    /// Seconds by which a viewer's connection may lag behind; then it is closed.
    public var viewerLagSeconds = 4
    /// x264's quality of live video, 0 … 51.
    public var crf = 23

    // MARK: Renders

    /// Render jobs that are worked on at once; more wait.
    public var maxRenders = 1
    /// Render jobs that may wait or run, uploads included. Beyond: 503 with Retry-After.
    public var maxWaitingRenders = 100
    /// Render jobs that are kept in all. Beyond: 503.
    public var maxKeptRenders = 1000
    /// Render jobs of one client that may wait or run. Beyond: 503.
    public var maxWaitingRendersPerClient = 25
    /// Seconds of speech in the jobs of one client that wait or run. Beyond: 503.
    public var maxWaitingSecondsPerClient = 14_400
    /// Bytes of uploads and results on the disk. Beyond: 507, until some are deleted or expire.
    public var maxDataBytes = 16 << 30
    /// Hours for which a render is kept after its end.
    public var renderKeepHours = 24
    /// Seconds of speech in one render.
    public var maxRenderSeconds = 3600
    /// Whether renders slow down, to a frame a second at least, while somebody talks to a live session.
    public var rendersYield = true

    // MARK: Text to speech

    /// The command that reads text and writes a WAV file, as a list of arguments; `{voice}` is replaced. Empty for
    /// `espeak-ng` or `flite`, whichever is installed.
    public var speechCommand: [String] = []
    /// The voice where a request names none.
    public var voice = "en"
    /// Seconds that the command may take, not counting the speech that a session has taken from it; then it is ended.
    public var speechCommandSeconds = 30

    // MARK: Logs

    /// How a log line is written.
    public enum LogFormat: String, Sendable, Codable, CaseIterable {
        /// Lines for people.
        case text
        /// One JSON object a line.
        case json
    }

    /// How a log line is written to standard error.
    public var logFormat = LogFormat.text
    /// The lowest level that is logged: trace, debug, info, notice, warning, error or critical. Requests are logged at info.
    public var logLevel = "info"

    // MARK: Shutdown

    /// Seconds that sessions and renders get to end when the server is stopped.
    public var shutdownSeconds = 10

    /// The defaults.
    public init() {}
}
