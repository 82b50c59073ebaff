import Foundation
import Viseme

/// A program that reads text from standard input and writes a WAV file to standard output. No shell is involved, and the text
/// is never an argument.
struct SpeechCommand: Sendable {
    private let program: URL
    private let arguments: [String]
    private let defaultVoice: String

    /// What is taken where none is configured.
    private static let known = [
        ["espeak-ng", "--stdin", "--stdout", "-v", "{voice}"],
        // flite has other names for its voices, and writes nothing but files.
        ["flite", "-f", "/dev/stdin", "-o", "/dev/stdout"],
    ]

    /// The configured command, or the first that is installed.
    ///
    /// - Throws: `.unavailable` when there is none.
    init(_ configuration: ServerConfiguration) throws {
        let candidates = configuration.speechCommand.isEmpty ? Self.known : [configuration.speechCommand]
        for candidate in candidates {
            guard let name = candidate.first, let program = Self.find(name) else { continue }
            self.program = program
            arguments = Array(candidate.dropFirst())
            defaultVoice = configuration.voice
            return
        }
        let names = candidates.compactMap(\.first).joined(separator: "', '")
        throw VisemeError(
            .unavailable, "This server has no text-to-speech: '\(names)' is not there",
            hint: "Install espeak-ng, or set \"speechCommand\"; speech can always be sent to …/audio.")
    }

    private static func find(_ name: String) -> URL? {
        if name.contains("/") {
            return FileManager.default.isExecutableFile(atPath: name) ? URL(filePath: name) : nil
        }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { URL(filePath: "\($0)/\(name)") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    /// A run of the program.
    final class Run: Sendable {
        /// What it writes.
        let output: FileHandle
        private let process: Process

        fileprivate init(_ process: Process, _ output: FileHandle) { (self.process, self.output) = (process, output) }

        /// Ends the program if it still runs.
        func stop() { if process.isRunning { process.terminate() } }
    }

    /// Begins to speak a text.
    ///
    /// - Parameters:
    ///   - text: Anything.
    ///   - voice: Letters, digits, "-", "_" and "+"; nil for the configured one.
    /// - Throws: `.usage` for another voice; `.internal` when the program cannot be started.
    func speak(_ text: String, voice: String?) throws -> Run {
        let voice = voice ?? defaultVoice
        let isName = voice.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "+"):
                true
            default: false
            }
        }
        guard isName, (1...64).contains(voice.utf8.count), !voice.hasPrefix("-") else {
            throw VisemeError(.usage, "'\(voice.prefix(64))' is not the name of a voice")
        }
        let process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = program
        process.arguments = arguments.map { $0.replacingOccurrences(of: "{voice}", with: voice) }
        // What the server's own environment holds is nobody's business.
        let kept = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"]
        process.environment = ProcessInfo.processInfo.environment.filter { kept.contains($0.key) }
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        do {
            try process.run()
            // At most some thousand bytes: the pipe takes them without anybody reading.
            try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
            try input.fileHandleForWriting.close()
        } catch {
            if process.isRunning { process.terminate() }
            throw VisemeError(.internal, "'\(program.path)' cannot be run", cause: error)
        }
        return Run(process, output.fileHandleForReading)
    }
}
