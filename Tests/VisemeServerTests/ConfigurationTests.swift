import Foundation
import Testing
import VisemeTestSupport
import Viseme
@testable import VisemeServer

@Suite("Server configuration")
struct ConfigurationTests {
    @Test("The environment goes over the file, the file over the defaults")
    func layers() async throws {
        try await withTemporaryFolder { folder in
            let file = folder.appending(path: "server.json")
            let key = #"{"name": "me", "sha256": "\#(String(repeating: "a", count: 64))"}"#
            try Data(#"{"maxSessions": 3, "voice": "de", "apiKeys": [\#(key)]}"#.utf8).write(to: file)
            let loaded = try ServerConfiguration.load(
                file: file,
                environment: [
                    "VISEME_MAX_SESSIONS": "5", "VISEME_AVATARS": "a:b", "VISEME_ALLOW_OPEN_ACCESS": "true",
                    "VISEME_CORES": "9",
                ])
            #expect(loaded.maxSessions == 5 && loaded.voice == "de" && loaded.avatars == ["a", "b"])
            #expect(loaded.allowOpenAccess && loaded.apiKeys.map(\.name) == ["me"] && loaded.port == 8080)
        }
    }

    @Test(
        "What is wrong is named",
        arguments: [
            (#"{"maxSesions": 3}"#, [:], "maxSesions"), (#"[1]"#, [:], "JSON object"),
            (#"{"maxSessions": "many"}"#, [:], "maxSessions"), ("{}", ["VISEME_PORT": "eighty"], "VISEME_PORT"),
            ("{}", ["VISEME_PORT": "70000"], "port"), ("{}", ["VISEME_NODE": "n-1"], "node"),
            (#"{"drainSeconds": -1}"#, [:], "drainSeconds"), (#"{"apiKeys": [{"name": "x"}]}"#, [:], "sha256"),
            (#"{"apiKeys": [{"name": "x", "sha256": "12"}]}"#, [:], "64 hexadecimal"),
            (#"{"host": "0.0.0.0"}"#, [:], "API keys"), (#"{"crf": 99}"#, [:], "crf"),
        ] as [(String, [String: String], String)])
    func errors(file: String, environment: [String: String], says: String) async throws {
        try await withTemporaryFolder { folder in
            let url = folder.appending(path: "server.json")
            try Data(file.utf8).write(to: url)
            let error = #expect(throws: VisemeError.self) {
                try ServerConfiguration.load(file: url, environment: environment).checked()
            }
            #expect(error?.code == .usage && error?.message.contains(says) == true, "\(String(describing: error))")
        }
    }

    @Test("Capacity follows the cores")
    func capacity() throws {
        let checked = try ServerConfiguration().checked(cores: 2)
        #expect(checked.maxSessions == 8 && checked.maxSpeaking == 2)
    }

    @Test("The documentation lists every setting with its default")
    func documentation() throws {
        let text = try String(contentsOf: Repository.root.appending(path: "docs/server.md"), encoding: .utf8)
        let data = try JSONEncoder().encode(ServerConfiguration())
        let defaults = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        for (key, value) in defaults {
            let row = text.split(separator: "\n").first { $0.hasPrefix("| `\(key)` |") }
            #expect(row != nil, "docs/server.md lacks `\(key)`")
            if let number = value as? Int, !(value is Bool), key != "allowOpenAccess" {
                #expect(row?.contains("| \(number) |") == true, "\(key) is \(number) by default: \(row ?? "")")
            }
        }
    }
}
