import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Avatar pack")
struct AvatarTests {
    /// A broken manifest and what the error must say.
    struct Broken: Sendable, CustomTestStringConvertible {
        var name: String
        var pack: @Sendable () -> TestPack
        var code = VisemeError.Code.badData
        var says: [String]
        var testDescription: String { name }

        init(
            _ name: String, _ code: VisemeError.Code = .badData, says: [String],
            _ manifest: @escaping @Sendable () -> [String: Any]
        ) {
            self.name = name
            self.code = code
            self.says = says
            pack = { TestPack(manifest: manifest()) }
        }

        init(without key: String) {
            name = "no \(key)"
            says = ["avatar.json", key, "missing"]
            pack = { TestPack(without: key) }
        }

        init(_ name: String, squares: [[Int]], says: [String]) {
            self.name = name
            self.says = says
            pack = { TestPack(squares: squares) }
        }
    }

    static let good = [[8, 6, 24, 22], [8, 6, 24, 22], [8, 6, 24, 22], [8, 6, 24, 22]]

    static let broken: [Broken] =
        [
            "format", "name", "fps", "width", "height", "frames", "template", "crops", "templateOrder", "featureWindow",
            "geometry",
            "colourOrder", "valueRange", "licence", "consent", "models",
        ].map(Broken.init(without:)) + [
            Broken("format 2", .unsupported, says: ["\"format\" is 2"]) { ["format": 2] },
            Broken("format in words", says: ["format"]) { ["format": "one"] },
            Broken("30 fps", .unsupported, says: ["\"fps\" is 30"]) { ["fps": 30] },
            Broken("width 0", says: ["0×30"]) { ["width": 0] },
            Broken("height too large", says: ["8193"]) { ["height": 8193] },
            Broken("no frame", says: ["\"frames\" is 0"]) { ["frames": 0] },
            Broken("negative frames", says: ["\"frames\" is -5"]) { ["frames": -5] },
            Broken("frames past Int", says: ["avatar.json"]) { ["frames": 1e30] },
            Broken("6 frames, 5 squares", says: ["5 crop squares", "6 frames"]) { ["frames": 6] },
            Broken("RGB", says: ["colourOrder"]) { ["colourOrder": "RGB"] },
            Broken("range −1…1", .unsupported, says: ["valueRange"]) { ["valueRange": [-1, 1]] },
            Broken("unknown order", says: ["templateOrder"]) { ["templateOrder": "random"] },
            Broken("unknown feature window", says: ["featureWindow"]) { ["featureWindow": "rows8"] },
            Broken("crop without border", says: ["crop 320"]) {
                ["geometry": ["crop": 320, "roi": 320, "border": 4, "mask": [5, 5, 315, 310]]]
            },
            Broken("mask outside the roi", says: ["mask"]) {
                ["geometry": ["crop": 24, "roi": 16, "border": 4, "mask": [1, 1, 17, 14]]]
            },
            Broken("three mask numbers", says: ["mask"]) {
                ["geometry": ["crop": 24, "roi": 16, "border": 4, "mask": [1, 1, 15]]]
            },
            Broken("idle past the end", says: ["idle"]) { ["idle": [0, 6]] },
            Broken("idle backwards", says: ["idle"]) { ["idle": [3, 3]] },
            Broken("two generators", says: ["2 models", "generator"]) { ["models": [Self.model(), Self.model()]] },
            Broken("unknown role", says: ["role"]) { ["models": [Self.model(role: "lips")]] },
            Broken("short hash", says: ["sha256", "g.onnx"]) { ["models": [Self.model(sha: "abc")]] },
            Broken("hash in letters", says: ["sha256"]) {
                ["models": [Self.model(sha: String(repeating: "z", count: 64))]]
            },
            Broken("batch named N", says: ["\"B\""]) { ["models": [Self.model(shape: ["N", 6, 16, 16])]] },
            Broken("model escapes by ..", says: ["../g.onnx"]) { ["models": [Self.model(file: "../g.onnx")]] },
            Broken("model escapes by a deep ..", says: ["a/../../g.onnx"]) {
                ["models": [Self.model(file: "a/../../g.onnx")]]
            },
            Broken("absolute model", says: ["/etc/passwd"]) { ["models": [Self.model(file: "/etc/passwd")]] },
            Broken("absolute crops", says: ["/etc/passwd"]) { ["crops": "/etc/passwd"] },
            Broken("crops escape", says: ["../crops.json"]) { ["crops": "../crops.json"] },
            Broken("crops with a backslash", says: ["..\\crops.json"]) { ["crops": "..\\crops.json"] },
            Broken("empty crops", says: ["''"]) { ["crops": ""] },
            Broken("crops not there", .noInput, says: ["squares.json"]) { ["crops": "squares.json"] },
            Broken(
                "square right of the frame", squares: good + [[30, 6, 46, 22]],
                says: ["frame 4", "[30, 6, 46, 22]", "40×30"]),
            Broken("square above the frame", squares: [[8, -1, 24, 15]] + good, says: ["frame 0", "-1"]),
            Broken("square with huge numbers", squares: good + [[.min, 0, .max, 10]], says: ["frame 4"]),
            Broken("rectangle", squares: good + [[8, 6, 24, 23]], says: ["frame 4", "not a square"]),
            Broken("three numbers", squares: good + [[8, 6, 24]], says: ["frame 4"]),
            Broken("too few squares", squares: good, says: ["4 crop squares", "5 frames"]),
        ]

    private static func model(
        role: String = "generator", file: String = "g.onnx", sha: String = TestPack.sha,
        shape: [Any] = ["B", 6, 16, 16]
    ) -> [String: Any] {
        ["role": role, "file": file, "sha256": sha, "inputs": [["name": "input", "shape": shape]], "outputs": [Any]()]
    }

    @Test("A pack opens and knows its squares and its template order")
    func opens() async throws {
        try await withTemporaryFolder { folder in
            let pack = TestPack()
            let avatar = try Avatar(contentsOf: pack.write(into: folder))
            #expect(avatar.manifest.name == "test")
            #expect(avatar.squares.map(\.corners) == pack.defaultSquares)
            #expect((0..<10).map(avatar.templateIndex) == [1, 2, 3, 4, 3, 2, 1, 0, 1, 2])
            #expect(avatar.square(ofTemplateFrame: 2) == PixelArea(x: 10, y: 6, side: 16))
        }
    }

    @Test("A broken pack is refused, and the error says what and where", arguments: broken)
    func refused(item: Broken) async throws {
        try await withTemporaryFolder { folder in
            expectError(item, at: try item.pack().write(into: folder))
        }
    }

    private func expectError(_ item: Broken, at url: URL) {
        let error = #expect(throws: VisemeError.self) { try Avatar(contentsOf: url) }
        #expect(error?.code == item.code)
        for text in item.says { #expect(error?.description.contains(text) == true, "\(error?.description ?? "")") }
    }

    @Test(
        "Files that are not JSON are bad data",
        arguments: ["", "{", "null", "[]", "{\"format\": 1,}", "\u{0}", "format: 1"])
    func notJSON(text: String) async throws {
        try await withTemporaryFolder { folder in
            for file in ["avatar.json", "crops.json"] {
                let url = try TestPack().write(into: folder)
                try Data(text.utf8).write(to: url.appending(path: file))
                let error = #expect(throws: VisemeError.self) { try Avatar(contentsOf: url) }
                #expect(error?.code == .badData)
                #expect(error?.description.contains(file) == true)
            }
        }
    }

    @Test("A folder without avatar.json is no pack, and says so")
    func noPack() async throws {
        try await withTemporaryFolder { folder in
            let error = #expect(throws: VisemeError.self) { try Avatar(contentsOf: folder) }
            #expect(error?.code == .noInput)
            #expect(error?.message.contains(folder.path) == true)
        }
    }

    @Test("A symbolic link that leads out of the pack is refused; a pack reached through one opens")
    func links() async throws {
        try await withTemporaryFolder { folder in
            let files = FileManager.default
            let pack = try TestPack().write(into: folder)
            let link = folder.appending(path: "link.avatar")
            try files.createSymbolicLink(at: link, withDestinationURL: pack)
            let linked = try Avatar(contentsOf: link)
            _ = try linked.member("frames/%06d.jpg")

            let outside = folder.appending(path: "outside.json")
            try files.moveItem(at: pack.appending(path: "crops.json"), to: outside)
            try files.createSymbolicLink(at: pack.appending(path: "crops.json"), withDestinationURL: outside)
            let error = #expect(throws: VisemeError.self) { try Avatar(contentsOf: pack) }
            #expect(error?.code == .badData)
            #expect(error?.message.contains("leads out of the pack") == true)

            // A linked folder is no way out either, not even to a file that does not exist (yet).
            try files.createSymbolicLink(at: pack.appending(path: "frames"), withDestinationURL: folder)
            #expect(throws: VisemeError.self) { try linked.member("frames/outside.json") }
            #expect(throws: VisemeError.self) { try linked.member("frames/%06d.jpg") }
        }
    }

    @Test("Names are looked up as a path, then as NAME.avatar and NAME in the folders; a miss lists them")
    func find() async throws {
        try await withTemporaryFolder { folder in
            _ = try TestPack().write(into: folder, name: "ada.avatar")
            let (empty, full) = (folder.appending(path: "nowhere"), folder)
            #expect(try Avatar.find("ada", in: [empty, full]).url.lastPathComponent == "ada.avatar")
            #expect(try Avatar.find("ada.avatar", in: [full]).manifest.name == "test")
            #expect(try Avatar.find(folder.appending(path: "ada.avatar").path, in: []).manifest.name == "test")
            let error = #expect(throws: VisemeError.self) { try Avatar.find("bob", in: [empty, full]) }
            #expect(error?.code == .noInput)
            #expect(error?.message.contains(empty.appending(path: "bob.avatar").path) == true)
        }
    }

    @Test("A model that is absent or changed is an error that names it")
    func models() async throws {
        try await withTemporaryFolder { folder in
            let url = try TestPack().write(into: folder)
            let avatar = try Avatar(contentsOf: url)
            try FileManager.default.removeItem(at: url.appending(path: "generator.onnx"))
            let missing = #expect(throws: VisemeError.self) { try avatar.model(.generator).read() }
            #expect(missing?.code == .noInput)
            try Data("other".utf8).write(to: url.appending(path: "generator.onnx"))
            try Data("other".utf8).write(to: url.appending(path: "audio_encoder.onnx"))
            let changed = #expect(throws: VisemeError.self) { try avatar.verify() }
            #expect(changed?.code == .badData)
            #expect(changed?.message.contains("audio_encoder.onnx") == true)
            #expect(changed?.message.contains(ModelFile.sha256(of: Data("other".utf8))) == true)

            let none = try Avatar(
                contentsOf: TestPack(manifest: ["models": [Any]()]).write(into: folder, name: "none.avatar"))
            let absent = #expect(throws: VisemeError.self) { try none.model(.audioEncoder) }
            #expect(absent?.code == .noInput)
        }
    }

    @Test("Ping-pong starts at frame 1 and never repeats an end", arguments: [1, 2, 3, 5])
    func pingPong(count: Int) throws {
        let golden = try Golden.json(CompositorTests.Facts.self, "compositor.json").pingPong
        #expect((0..<12).map { Avatar.pingPong($0, count: count) } == golden["\(count)"])
        #expect((0..<count).contains(Avatar.pingPong(.max, count: count)))
    }

    @Test("A manifest written and read again is the same")
    func roundTrip() async throws {
        try await withTemporaryFolder { folder in
            let manifest = try Avatar(contentsOf: TestPack(manifest: ["idle": [0, 3]]).write(into: folder)).manifest
            #expect(try JSONDecoder().decode(AvatarManifest.self, from: JSONEncoder().encode(manifest)) == manifest)
        }
    }

    @Test(
        "Every truncation and any mutation of the two JSON files throws or loads, and never traps",
        arguments: ["avatar.json", "crops.json"])
    func mutations(file: String) async throws {
        try await withTemporaryFolder { folder in
            let pack = try TestPack().write(into: folder)
            let url = pack.appending(path: file)
            let original = try Data(contentsOf: url)
            for length in 0..<original.count {
                try original.prefix(length).write(to: url)
                #expect(throws: VisemeError.self, "cut to \(length) bytes") { try Avatar(contentsOf: pack) }
            }
            var loaded = 0
            for seed in 0..<300 {
                var random = SeededRandom(seed)
                var bytes = [UInt8](original)
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let at = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                    case 1: bytes.remove(at: at)
                    case 2:
                        bytes.insert(
                            contentsOf: Array(
                                "99999999999999999999".utf8.prefix(Int.random(in: 1...20, using: &random))), at: at)
                    default: bytes.swapAt(at, Int.random(in: 0..<bytes.count, using: &random))
                    }
                }
                try Data(bytes).write(to: url)
                do {
                    _ = try Avatar(contentsOf: pack)
                    loaded += 1
                } catch is VisemeError {}
            }
            #expect(loaded < 300)
        }
    }
}
