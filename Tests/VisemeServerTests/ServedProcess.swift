import Foundation
import Testing
import VisemeTestSupport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// `viseme serve` as a process of its own.
struct ServedProcess: Sendable {
    /// Only started, signalled and waited for.
    private let process: Process
    let address: String

    init(data: URL, environment: [String: String] = [:]) async throws {
        process = Process()
        let program: URL = try #require(Self.program, "the program 'viseme' is not beside the tests")
        process.executableURL = program
        process.arguments = ["serve", "--port", "0", "--avatars", TinyServer.packs.path, "--data", data.path]
        var variables = ProcessInfo.processInfo.environment
        variables["VISEME_ONNXRUNTIME"] = Repository.onnxRuntime
        variables["VISEME_DEFAULT_AVATAR"] = "tiny"
        variables.merge(environment) { $1 }
        process.environment = variables
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        // One line, or nothing if it ends.
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        address = try #require(line.firstMatch(of: /http:\S+/).map { String($0.output) }, "\(line)")
    }

    /// Ends it as the kernel would when memory is short.
    func kill() {
        #if canImport(Glibc)
            Glibc.kill(process.processIdentifier, SIGKILL)
        #else
            Darwin.kill(process.processIdentifier, SIGKILL)
        #endif
        process.waitUntilExit()
    }

    /// Bytes of it in memory; Linux only.
    func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(process.processIdentifier)/statm", encoding: .utf8)
        return try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 4096
    }

    /// Ends it as an operator would.
    ///
    /// - Returns: The exit status.
    func stop() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    private static let program: URL? = {
        for bundle in [Bundle.main] + Bundle.allBundles {
            var folder = bundle.bundleURL
            for _ in 0..<6 {
                let candidate = folder.appending(path: "viseme")
                if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
                folder = folder.deletingLastPathComponent()
            }
        }
        return nil
    }()
}
