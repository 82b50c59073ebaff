/// The settings of a server, with their defaults.
///
/// A value comes from the first of: a flag, the environment (`maxSessions` is VISEME_MAX_SESSIONS), a JSON file with these names
/// as keys, the default.
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
    /// The folder for data that survives a restart.
    public var data = "viseme-data"
    /// The avatar that is loaded at start and used where a request names none; empty for the first.
    public var defaultAvatar = ""

    /// The name of this server among several behind one proxy: 1 to 16 lower-case letters and digits, or empty. Ids of sessions and
    /// renders begin with it and `-`, so that the proxy knows whose they are.
    public var node = ""

    // MARK: Access

    /// The API keys; with none, requests need no key.
    public var apiKeys: [APIKey] = []
    /// The keys that may also add and delete avatars; with none, nobody may.
    public var adminKeys: [APIKey] = []
    /// Whether a server without keys may listen on other addresses than 127.0.0.1.
    public var allowOpenAccess = false
    /// Other web origins whose pages may use the server (CORS), such as `https://example.org`.
    public var allowedOrigins: [String] = []
    /// Host names of a server without keys that listens on 127.0.0.1 behind a proxy, such as `talk.example.org`. Other names are
    /// refused there, against DNS rebinding.
    public var allowedHosts: [String] = []

    /// Addresses of proxies in front of the server whose `X-Forwarded-For` is trusted.
    public var trustedProxies: [String] = []

    // MARK: Capacity

    /// The most sessions at once; 0 for four per core. Beyond: 503 with Retry-After.
    public var maxSessions = 0
    /// The most sessions that speak at once; 0 for one per core. Beyond: 503 with Retry-After.
    public var maxSpeaking = 0
    /// The most sessions of one client that speak at once; 0 for all but one where there may be other clients (keys, proxies, a
    /// public address), else for all.
    public var maxSpeakingPerClient = 0
    /// Seconds without sound after which an upload loses its speaking slot. It takes one again when sound arrives.
    public var speechPauseSeconds = 5
    /// The most sessions of one client, by API key or else by address.
    public var maxSessionsPerClient = 4
    /// The most viewers of one session.
    public var maxViewersPerSession = 4
    /// The most connections at once; more wait to be accepted.
    public var maxConnections = 256
    /// The most connections of one address, except trusted proxies; more are closed.
    public var maxConnectionsPerClient = 64
    /// The most loaded avatars. The least recently used one that is not in use is unloaded for another; if all are in use, the
    /// request gets 503.
    public var maxLoadedAvatars = 4

    // MARK: Avatars

    /// The most bytes of an uploaded avatar.
    public var maxAvatarBytes = 256 << 20
    /// The most avatars that are kept of uploads. Beyond: 507.
    public var maxUploadedAvatars = 32

    // MARK: Requests

    /// The most bytes of one upload.
    public var maxBodyBytes = 256 << 20
    /// The most bytes per second of one upload; a faster one is slowed down.
    public var uploadBytesPerSecond = 8 << 20
    /// The most seconds of speech in one upload or text.
    public var maxSpeechSeconds = 600
    /// The most characters of one text.
    public var maxTextCharacters = 2000
    /// Seconds after which a connection without data is closed, while a request is expected or incomplete.
    public var requestIdleSeconds = 60

    // MARK: Sessions

    /// Seconds after which a session without viewers and requests ends.
    public var sessionIdleSeconds = 60
    /// Seconds after which a session with viewers but without speech ends.
    public var sessionQuietSeconds = 900
    /// Seconds that a viewer may fall behind before its connection is closed.
    public var viewerLagSeconds = 4
    /// x264's quality of live video, 0 … 51.
    public var crf = 23

    // MARK: Renders

    /// The most render jobs that run at once; more wait.
    public var maxRenders = 1
    /// The most render jobs that wait or run, including uploads. Beyond: 503 with Retry-After.
    public var maxWaitingRenders = 100
    /// The most render jobs that are kept. Beyond: 503.
    public var maxKeptRenders = 1000
    /// The most render jobs of one client that wait or run. Beyond: 503.
    public var maxWaitingRendersPerClient = 25
    /// The most seconds of speech in one client's jobs that wait or run. Beyond: 503.
    public var maxWaitingSecondsPerClient = 14_400
    /// The most bytes of uploads and results on the disk. An upload beyond it gets 507.
    public var maxDataBytes = 16 << 30
    /// Hours that a render is kept after its end.
    public var renderKeepHours = 24
    /// The most seconds of speech in one render.
    public var maxRenderSeconds = 3600
    /// Whether renders slow down while a live session speaks, at most to one frame per second.
    public var rendersYield = true

    // MARK: Text to speech

    /// The command that reads text and writes a WAV file, as a list of arguments; `{voice}` is replaced. Empty for
    /// `espeak-ng` or `flite`, whichever is installed.
    public var speechCommand: [String] = []
    /// The default voice.
    public var voice = "en"
    /// Seconds after which the command is ended, not counting the speech that a session has read from it.
    public var speechCommandSeconds = 30

    // MARK: Logs

    /// The format of log lines.
    public enum LogFormat: String, Sendable, Codable, CaseIterable {
        /// Readable text.
        case text
        /// One JSON object per line.
        case json
    }

    /// The format of log lines on standard error.
    public var logFormat = LogFormat.text
    /// The lowest level that is logged: trace, debug, info, notice, warning, error or critical. Requests are logged at info.
    public var logLevel = "info"

    // MARK: Shutdown

    /// Seconds for sessions and renders to end at shutdown.
    public var shutdownSeconds = 10
    /// Seconds before that in which sessions go on as if nothing happened and no new one begins; 0 for none.
    public var drainSeconds = 0

    /// The defaults.
    public init() {}
}
