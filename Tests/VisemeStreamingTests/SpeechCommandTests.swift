import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeStreaming

/// Text-to-speech programs that stall, fail, or refuse to end.
@Suite("Text-to-speech programs", .serialized)
struct SpeechCommandTests {
    private func command(_ script: String, seconds: Int = 2) throws -> SpeechCommand {
        try SpeechCommand(["/bin/bash", "-c", script], voice: "en", limit: .seconds(seconds))
    }

    private func readAll(_ output: FileHandle) async throws -> (value: Data, isComplete: Bool) {
        (try output.readToEnd() ?? Data(), true)
    }

    /// Whether a process with this id still runs.
    private func isAlive(_ file: URL) throws -> Bool {
        let text = try String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        let id = try #require(Int32(text))
        // One that ended and that nobody has waited for yet is dead, too.
        let status = (try? String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)) ?? ""
        return kill(id, 0) == 0 && !status.contains("State:\tZ")
    }

    @Test("What it writes is read to the end; the text is its standard input")
    func speaks() async throws {
        let data = try await command("cat").speak("Hello", voice: nil) { try await readAll($0) }
        #expect(String(decoding: data, as: UTF8.self) == "Hello")
    }

    @Test("A program that fails is an error, although it wrote something", arguments: ["exit 3", "kill -KILL $$"])
    func fails(_ end: String) async throws {
        let error = await #expect(throws: VisemeError.self) {
            _ = try await command("cat; \(end)").speak("Hello", voice: nil) { try await readAll($0) }
        }
        #expect(error?.code == .badData && error?.message.contains("failed") == true)
    }

    @Test(
        "A program that stalls is ended with its children, at once or in the middle, although it ignores SIGTERM",
        arguments: ["", "echo begun;"])
    func stalls(_ beginning: String) async throws {
        try await withTemporaryFolder { folder in
            let child = folder.appending(path: "child")
            let script = "trap '' TERM; \(beginning) sleep 1000 & echo $! > '\(child.path)'; sleep 1000"
            let start = ContinuousClock.now
            let error = await #expect(throws: VisemeError.self) {
                _ = try await command(script, seconds: 1).speak("x", voice: nil) { try await readAll($0) }
            }
            #expect(error?.code == .timedOut && error?.message.contains("longer than") == true)
            #expect(ContinuousClock.now - start < .seconds(10))
            try await Task.sleep(for: .milliseconds(300))
            #expect(try !isAlive(child))
        }
    }

    @Test(
        "Children that keep the output of a program that has ended hold nobody up",
        arguments: ["sleep 1000 &", "(trap '' TERM; sleep 1000) &", "setsid sleep 5 &", "setsid timeout 2 yes &"])
    func children(_ child: String) async throws {
        let start = ContinuousClock.now
        let data = try await command("cat; \(child) sleep 0.1; exit 0", seconds: 60).speak("Hello", voice: nil) {
            try await readAll($0)
        }
        #expect(ContinuousClock.now - start < .seconds(3))
        #expect(String(decoding: data.prefix(5), as: UTF8.self) == "Hello")
    }

    @Test("A program that ends on SIGTERM takes along a child that does not")
    func stubbornChild() async throws {
        try await withTemporaryFolder { folder in
            let child = folder.appending(path: "child")
            let script = "(trap '' TERM; echo $BASHPID > '\(child.path)'; while true; do sleep 1; done) & wait"
            await #expect(throws: VisemeError.self) {
                _ = try await command(script, seconds: 1).speak("x", voice: nil) { try await readAll($0) }
            }
            try await Task.sleep(for: .milliseconds(300))
            #expect(try !isAlive(child))
        }
    }

    @Test("A cancelled request ends the program")
    func cancelled() async throws {
        try await withTemporaryFolder { folder in
            let child = folder.appending(path: "child")
            let command = try command("echo $$ > '\(child.path)'; exec sleep 1000", seconds: 60)
            let task = Task { try await command.speak("x", voice: nil) { try await readAll($0) } }
            while !FileManager.default.fileExists(atPath: child.path) { try await Task.sleep(for: .milliseconds(20)) }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            let start = ContinuousClock.now
            _ = await task.result
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(try !isAlive(child))
        }
    }

    @Test("Who leaves early is not held up by the program")
    func interrupted() async throws {
        let start = ContinuousClock.now
        let value = try await command("yes", seconds: 60).speak("x", voice: nil) { output in
            (try output.read(upToCount: 10)?.count ?? 0, false)
        }
        #expect(value == 10 && ContinuousClock.now - start < .seconds(5))
    }

    @Test("What was taken meanwhile does not count against the limit")
    func patience() async throws {
        let start = ContinuousClock.now
        let data = try await command("sleep 2; echo late", seconds: 1).speak(
            "x", voice: nil, taken: { (ContinuousClock.now - start) }
        ) { try await readAll($0) }
        #expect(!data.isEmpty)
    }
}
