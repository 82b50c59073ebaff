package import Foundation
import Subprocess
import Synchronization
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif
#if canImport(System)
    import System
#else
    import SystemPackage
#endif

/// A program that reads text from standard input and writes a WAV file to standard output. No shell is involved, and the text
/// is never an argument.
package struct SpeechCommand: Sendable {
    private let program: URL
    private let arguments: [String]
    private let defaultVoice: String
    private let limit: Duration

    /// The default commands.
    private static let known = [
        ["espeak-ng", "--stdin", "--stdout", "-v", "{voice}"],
        // flite has other voice names, and writes only to files.
        ["flite", "-f", "/dev/stdin", "-o", "/dev/stdout"],
    ]

    /// A command, or the first of the known ones that is installed.
    ///
    /// - Parameters:
    ///   - command: The program and its arguments; `{voice}` is replaced. Empty for a known one.
    ///   - voice: The default voice.
    ///   - limit: The time for the program, not counting the speech that was read from it.
    /// - Throws: `.unavailable` when there is none.
    package init(_ command: [String], voice: String, limit: Duration) throws {
        let candidates = command.isEmpty ? Self.known : [command]
        for candidate in candidates {
            guard let name = candidate.first, let program = Self.find(name) else { continue }
            self.program = program
            arguments = Array(candidate.dropFirst())
            defaultVoice = voice
            self.limit = limit
            return
        }
        let names = candidates.compactMap(\.first).joined(separator: "', '")
        throw VisemeError(
            .unavailable, "This server has no text-to-speech: '\(names)' is not installed",
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

    /// Speaks a text.
    ///
    /// The program runs in its own process group. The group is ended (SIGTERM, after half a second SIGKILL) when the task is
    /// cancelled, when `read` throws or returns early, and at the time limit. When the program ends, its children are killed and
    /// its output ends.
    ///
    /// - Parameters:
    ///   - text: Any text.
    ///   - voice: Letters, digits, "-", "_" and "+"; nil for the configured one.
    ///   - taken: The duration of the speech read so far. It does not count against the time limit: a session reads speech only
    ///     as fast as it is spoken, and the program waits meanwhile.
    ///   - read: Reads the program's output; returns whether it read to the end.
    /// - Throws: `.usage` for an invalid voice; `.badData` when the program fails; `.timedOut` at the time limit.
    package func speak<Value: Sendable>(
        _ text: String, voice: String?, taken: @escaping @Sendable () -> Duration = { .zero },
        _ read: @escaping @Sendable (FileHandle) async throws -> (value: Value, isComplete: Bool)
    ) async throws -> Value {
        let voice = voice ?? defaultVoice
        try Self.checkName(voice)
        let (reading, output, writing) = try ProgramOutput.make()
        return try await withThrowingTaskGroup(of: Step<Value>.self) { group in
            group.addTask {
                defer { output.programEnded() }
                return .ended(try await run(text, voice: voice, writing: writing))
            }
            group.addTask {
                await output.run()
                return .copied
            }
            group.addTask { [limit] in
                let start = ContinuousClock.now
                while ContinuousClock.now - start < limit + taken() { try await Task.sleep(for: .milliseconds(200)) }
                return .expired
            }
            group.addTask {
                // Ends the copy. `read` may have closed it already.
                defer { try? reading.close() }
                do {
                    let (value, isComplete) = try await read(reading)
                    return .read(value, isComplete: isComplete)
                } catch {
                    return .failed(error)
                }
            }
            defer { group.cancelAll() }
            var read: Value?
            var failure: (any Error)?
            var status: TerminationStatus?
            while let step = try await group.next() {
                switch step {
                case .ended(let ended): status = ended
                case .copied: break
                case .expired:
                    throw VisemeError(
                        .timedOut,
                        "The text-to-speech program took longer than \(limit / .seconds(1)) s and was ended",
                        hint: "Send a shorter text, or raise \"speechCommandSeconds\".")
                case .read(let value, let isComplete):
                    guard isComplete else { return value }
                    read = value
                case .failed(let error):
                    // The output cannot be read. The exit status may say more; the program ends as its pipe is closed.
                    failure = error
                    if error is CancellationError || Self.isLimit(error) { throw error }
                }
                guard let status else { continue }
                guard status.isSuccess else {
                    throw VisemeError(
                        .badData, "The text-to-speech program failed: \(Self.text(status))",
                        hint: "Check that it has the voice '\(voice)', and that the text can be spoken.")
                }
                if let failure { throw failure }
                if let read { return read }
            }
            throw CancellationError()
        }
    }

    /// Whether a limit of the server was reached, so that the program did not fail.
    private static func isLimit(_ error: any Error) -> Bool {
        guard let code = (error as? VisemeError)?.code else { return false }
        return [.full, .cannotCreate, .tooLarge, .busy].contains(code)
    }

    private enum Step<Value: Sendable>: Sendable {
        case ended(TerminationStatus)
        case copied
        case expired
        case read(Value, isComplete: Bool)
        case failed(any Error)
    }

    private func run(_ text: String, voice: String, writing: Int32) async throws -> TerminationStatus {
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(500))
        ]
        // The server's environment may hold secrets.
        let kept = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"]
        let environment = ProcessInfo.processInfo.environment.filter { kept.contains($0.key) }
        let group = Mutex<pid_t?>(nil)
        // The id stays the group's while a member lives, and is reused late otherwise.
        defer { if let group = group.withLock({ $0 }) { kill(-group, SIGKILL) } }
        do {
            return try await Subprocess.run(
                .path(FilePath(program.path)),
                arguments: Arguments(arguments.map { $0.replacingOccurrences(of: "{voice}", with: voice) }),
                environment: .custom(
                    Dictionary(
                        uniqueKeysWithValues: environment.compactMap { key, value in
                            Environment.Key(rawValue: key).map { ($0, value) }
                        })),
                platformOptions: options, input: .string(text),
                output: .fileDescriptor(FileDescriptor(rawValue: writing), closeAfterSpawningProcess: true),
                error: .discarded
            ) { program in group.withLock { $0 = program.processIdentifier.value } }.terminationStatus
        } catch let error as SubprocessError {
            if Task.isCancelled { throw CancellationError() }
            throw VisemeError(.internal, "'\(program.path)' cannot be run", cause: error)
        }
    }

    private static func text(_ status: TerminationStatus) -> String {
        switch status {
        case .exited(let code): "exit status \(code)"
        case .signaled(let number): "signal \(number)"
        }
    }

    private static func checkName(_ voice: String) throws {
        let isName = voice.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "+"):
                true
            default: false
            }
        }
        guard isName, (1...64).contains(voice.utf8.count), !voice.hasPrefix("-") else {
            throw VisemeError(.usage, "'\(voice.prefix(64))' is not a valid voice name")
        }
    }
}
