import Foundation
public import Viseme

/// Mean absolute difference in grey levels.
public func difference(_ a: Image, _ b: Image) -> Double {
    guard a.bytes.count == b.bytes.count else { return 255 }
    return Double(zip(a.bytes, b.bytes).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }) / Double(a.bytes.count)
}

/// What a program writes on standard error.
public func complaints(of program: String, _ arguments: [String]) async throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program, "-nostdin"].filter { program == "ffmpeg" || $0 != "-nostdin" } + arguments
    let errors = FileManager.default.temporaryDirectory.appending(path: "err-\(UUID().uuidString)")
    try Data().write(to: errors)
    defer { try? FileManager.default.removeItem(at: errors) }  // the system clears its temporary folder anyway
    process.standardError = try FileHandle(forWritingTo: errors)
    let (ended, end) = AsyncStream<Void>.makeStream()
    process.terminationHandler = { _ in end.finish() }
    try process.run()
    for await _ in ended {}
    return String(decoding: try Data(contentsOf: errors), as: UTF8.self)
}
