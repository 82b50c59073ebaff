import Foundation
import Testing
import VisemeTestSupport

/// The program that lists system calls, where there is one.
private enum Strace {
    static let path = ["/usr/bin/strace", "/usr/local/bin/strace"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
}

extension CommandLineTests {
    /// ONNX Runtime reports to its maker unless it is told not to before it is loaded.
    @Suite("Nothing leaves the machine", .enabled(if: Strace.path != nil, "strace is not installed"))
    struct PrivacyTests {
        /// What a run asked the kernel for.
        private func trace(_ arguments: [String], in folder: URL, seconds: Int) async throws -> [String] {
            let strace: String = try #require(Strace.path)
            let home = folder.appending(path: "home")
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            let script = """
                exec timeout -s TERM \(seconds) \(strace) -f -qq -o trace.txt \
                -e trace=connect,sendto,sendmsg,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2 "$0" "$@"
                """
            let outcome = try await Program.run(
                arguments, in: folder, script: script,
                environment: ["HOME": home.path, "XDG_CACHE_HOME": home.appending(path: "cache").path])
            #expect([0, 124].contains(outcome.status), "\(outcome.errors)")
            let lines = try String(contentsOf: folder.appending(path: "trace.txt"), encoding: .utf8).split(
                separator: "\n")
            #expect(lines.contains { $0.contains("libonnxruntime") }, "the trace must hold the library")
            #expect(try names(in: home).isEmpty, "the home folder stays empty")
            return lines.map(String.init)
        }

        private func expectSilence(_ lines: [String], in folder: URL) {
            // A look-up reads resolv.conf and hosts first. Local sockets ask who the user is.
            let sent = lines.filter { line in
                ["AF_INET", "/etc/resolv.conf", "/etc/hosts"].contains { line.contains($0) } && !line.contains("= -1")
            }
            #expect(sent.isEmpty, "\(sent.prefix(3))")
            let written = lines.filter { line in
                guard !line.contains(" = -1 ") else { return false }
                return line.contains("O_CREAT") || line.contains("O_WRONLY") || line.contains("O_RDWR")
                    || line.contains("mkdir") || line.contains("rename") || line.contains("creat(")
            }
            let temporary = FileManager.default.temporaryDirectory.path
            let strange = written.filter { line in
                guard let path = line.split(separator: "\"").dropFirst().first else { return true }
                return path.hasPrefix("/")
                    && ![folder.path, temporary, "/dev/", "/proc/self/"].contains { path.hasPrefix($0) }
            }
            #expect(strange.isEmpty, "\(strange.prefix(3))")
        }

        @Test("A render looks up no name, connects to nothing and writes nowhere but into its folder")
        func render() async throws {
            try await withTemporaryFolder { folder in
                _ = try TinyPack(in: folder)
                try WaveFile(frames: 16000).data.write(to: folder.appending(path: "speech.wav"))
                let lines = try await trace(
                    ["render", "--avatar", "tiny.avatar", "--audio", "speech.wav", "-o", "out.mp4"], in: folder,
                    seconds: 60)
                expectSilence(lines, in: folder)
            }
        }

        @Test("A server neither, while it waits")
        func serve() async throws {
            try await withTemporaryFolder { folder in
                _ = try TinyPack(in: folder)
                let lines = try await trace(
                    ["serve", "--avatars", ".", "--avatar", "tiny.avatar", "--port", "0", "--data", "data"], in: folder,
                    seconds: 15)
                expectSilence(lines, in: folder)
            }
        }
    }
}
