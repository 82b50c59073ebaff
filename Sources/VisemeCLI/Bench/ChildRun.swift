import Foundation
import Viseme

/// One run of a program, timed from outside.
struct ChildRun {
    /// Seconds from start to exit.
    let wall: Double
    /// What it printed.
    let output: Data

    /// Runs a program to its end.
    ///
    /// - Parameter command: The program, searched in PATH, and its arguments.
    /// - Throws: `.unavailable` when it cannot be started or fails, with the end of what it said.
    init(_ command: [String]) async throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        let (out, messages) = (Pipe(), Pipe())
        process.standardOutput = out
        process.standardError = messages
        let start = ContinuousClock.now
        do {
            try process.run()
        } catch {
            throw VisemeError(.unavailable, "'\(command[0])' cannot be started.", cause: error)
        }
        // Both pipes are read while it runs: a full one would stop it.
        let (said, text) = try await withTaskCancellationHandler {
            async let said = out.fileHandleForReading.everything()
            async let text = messages.fileHandleForReading.everything()
            return try await (said, text)
        } onCancel: {
            process.terminate()
        }
        process.waitUntilExit()
        try Task.checkCancellation()
        wall = (ContinuousClock.now - start) / .seconds(1)
        output = said
        guard process.terminationStatus == 0 else {
            throw VisemeError(
                .unavailable,
                "'\(command.joined(separator: " "))' ended with status \(process.terminationStatus):\n"
                    + String(decoding: text.suffix(2000), as: UTF8.self))
        }
    }
}

extension FileHandle {
    /// Reads to the end on a thread of its own.
    fileprivate func everything() async throws -> Data {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try self.readToEnd() ?? Data() })
            }
        }
    }
}
