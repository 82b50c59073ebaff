import Foundation
import Testing
import VisemeTestSupport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The `viseme` that was built with these tests.
enum Program {
    /// The executable lies beside the test bundle's resources, or some folders above them (macOS).
    static let url: URL? = {
        var folder = Bundle.module.bundleURL
        for _ in 0..<6 {
            folder = folder.deletingLastPathComponent()
            let candidate = folder.appending(path: "viseme")
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
        }
        return nil
    }()

    /// How a run ended.
    struct Outcome {
        var status: Int32
        /// The signal that ended it, or nil.
        var signal: Int32?
        var output: String
        var errors: String
    }

    /// A program that runs.
    struct Running {
        fileprivate let process: Process
        fileprivate let output: URL
        fileprivate let errors: URL
        fileprivate let ended: AsyncStream<Void>

        func send(_ signal: Int32) { kill(process.processIdentifier, signal) }
        var isRunning: Bool { process.isRunning }

        /// Waits for the end.
        func outcome() async throws -> Outcome {
            for await _ in ended {}
            defer { for file in [output, errors] { try? FileManager.default.removeItem(at: file) } }
            let isSignal = process.terminationReason == .uncaughtSignal
            return Outcome(
                status: process.terminationStatus, signal: isSignal ? process.terminationStatus : nil,
                output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
                errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
        }
    }

    /// Starts `viseme`, or bash with a script that gets viseme's path as $0 and the arguments as $@.
    static func start(
        _ arguments: [String], in folder: URL, script: String? = nil, input: Data? = nil,
        environment: [String: String] = [:]
    ) throws -> Running {
        let viseme: URL = try #require(url, "the program 'viseme' is not beside the tests")
        let process = Process()
        process.executableURL = script == nil ? viseme : URL(filePath: "/bin/bash")
        process.arguments = script.map { ["-c", $0, viseme.path] + arguments } ?? arguments
        process.currentDirectoryURL = folder
        var variables = ProcessInfo.processInfo.environment
        variables["VISEME_ONNXRUNTIME"] = Repository.onnxRuntime
        variables.merge(environment) { $1 }
        process.environment = variables
        let temporary = FileManager.default.temporaryDirectory
        let (output, errors) = (
            temporary.appending(path: "out-\(UUID().uuidString)"), temporary.appending(path: "err-\(UUID().uuidString)")
        )
        for file in [output, errors] { try Data().write(to: file) }
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardInput = FileHandle.nullDevice
        if let input {
            let file = temporary.appending(path: "in-\(UUID().uuidString)")
            try input.write(to: file)
            process.standardInput = try FileHandle(forReadingFrom: file)
            try FileManager.default.removeItem(at: file)
        }
        let (ended, end) = AsyncStream<Void>.makeStream()
        process.terminationHandler = { _ in end.finish() }
        try process.run()
        return Running(process: process, output: output, errors: errors, ended: ended)
    }

    static func run(
        _ arguments: [String], in folder: URL, script: String? = nil, input: Data? = nil,
        environment: [String: String] = [:]
    ) async throws -> Outcome {
        try await start(arguments, in: folder, script: script, input: input, environment: environment).outcome()
    }
}

/// The names in a folder, hidden ones too.
func names(in folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
}
