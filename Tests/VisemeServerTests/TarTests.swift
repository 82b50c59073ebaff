import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeServer

/// Writes tar archives, sound and broken ones.
struct Tar {
    var data = Data()

    /// Adds an entry.
    mutating func add(
        _ name: String, _ content: Data = Data(), kind: Character = "0", link: String = "", size: Int? = nil,
        prefix: String = "", magic: String = "ustar\0"
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, _ count: Int) {
            for (k, byte) in text.utf8.prefix(count).enumerated() { header[offset + k] = byte }
        }
        func octal(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0, 100)
        put(octal(0o644, 7), at: 100, 8)
        put(octal(size ?? content.count, 11), at: 124, 12)
        put(octal(0, 11), at: 136, 12)
        put(String(kind), at: 156, 1)
        put(link, at: 157, 100)
        put(magic, at: 257, 6)
        put("00", at: 263, 2)
        put(prefix, at: 345, 155)
        let sum = header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        put(octal(sum, 6) + "\0 ", at: 148, 8)
        data += Data(header) + content + Data(count: (512 - content.count % 512) % 512)
    }

    /// The archive with its end.
    var finished: Data { data + Data(count: 1024) }

    /// A folder with everything in it.
    static func archive(of folder: URL, as name: String) throws -> Data {
        var tar = Tar()
        tar.add(name + "/", kind: "5")
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
        for path in paths {
            let url = folder.appending(path: path)
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue else {
                continue
            }
            tar.add("\(name)/\(path)", try Data(contentsOf: url))
        }
        return tar.finished
    }
}

@Suite("Archives of packs")
struct TarTests {
    private func files(_ data: Data, pieces: Int = .max) throws -> [String: Data] {
        var reader = TarReader()
        var found: [String: Data] = [:]
        var current = ""
        var rest = data[...]
        while !rest.isEmpty {
            for event in try reader.take(Data(rest.prefix(pieces))) {
                switch event {
                case .file(let path):
                    current = path
                    found[path] = Data()
                case .bytes(let bytes): found[current, default: Data()] += bytes
                case .end: current = ""
                }
            }
            rest = rest.dropFirst(pieces)
        }
        try reader.finish()
        return found
    }

    private var sound: Data {
        var tar = Tar()
        tar.add("./me.avatar/", kind: "5")
        tar.add("me.avatar/avatar.json", Data("{}".utf8))
        tar.add("me.avatar/._avatar.json", Data("a Mac's own".utf8))
        tar.add("x", Data("18 mtime=123456.7\n".utf8), kind: "x")
        tar.add("me.avatar/frames/000000.jpg", Data((0..<1500).map { UInt8($0 % 251) }))
        tar.add("me.avatar/empty")
        tar.add("deep.txt", Data("x".utf8), prefix: "me.avatar/frames")
        return tar.finished
    }

    @Test("however an archive is cut, its files are the same", arguments: [1, 7, 511, 512, 513, 4096, Int.max])
    func pieces(_ size: Int) throws {
        let found = try files(sound, pieces: size)
        #expect(
            found.keys.sorted() == [
                "me.avatar/avatar.json", "me.avatar/empty", "me.avatar/frames/000000.jpg", "me.avatar/frames/deep.txt",
            ])
        #expect(found["me.avatar/avatar.json"] == Data("{}".utf8))
        #expect(found["me.avatar/frames/000000.jpg"]?.count == 1500)
    }

    /// An archive that must not be taken, and a word of what is said about it.
    struct Hostile: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var word: String
        var data: Data

        init(_ name: String, _ word: String, _ fill: (inout Tar) -> Void, isFinished: Bool = true) {
            var tar = Tar()
            fill(&tar)
            (testDescription, self.word, data) = (name, word, isFinished ? tar.finished : tar.data)
        }
    }

    static let hostile: [Hostile] = [
        Hostile("a way up", "leads out") { $0.add("me/../../evil", Data("x".utf8)) },
        Hostile("a way up at the end", "leads out") { $0.add("me/..", Data("x".utf8)) },
        Hostile("a folder above", "leads out") { $0.add("../evil/", kind: "5") },
        Hostile("a way up in the prefix", "leads out") { $0.add("evil", Data("x".utf8), prefix: "a/../..") },
        Hostile("an absolute path", "not relative") { $0.add("/etc/evil", Data("x".utf8)) },
        Hostile("a path of Windows", "not relative") { $0.add("me\\..\\evil", Data("x".utf8)) },
        Hostile("a line feed in a name", "not relative") { $0.add("me/a\nb", Data("x".utf8)) },
        Hostile("a symbolic link", "link") { $0.add("me/avatar.json", kind: "2", link: "/etc/passwd") },
        Hostile("a hard link", "link") { $0.add("me/avatar.json", kind: "1", link: "me/other") },
        Hostile("a device", "kind") { $0.add("me/null", kind: "3") },
        Hostile("a pipe", "kind") { $0.add("me/pipe", kind: "6") },
        Hostile("a sparse file", "kind") { $0.add("me/sparse", kind: "S") },
        Hostile("a long name of GNU", "GNU") { $0.add("././@LongLink", Data("me/long\0".utf8), kind: "L") },
        Hostile("a path in attributes", "path") {
            $0.add("x", Data("18 path=../../evil\n".utf8.prefix(18)), kind: "x")
            $0.add("me/a", Data("x".utf8))
        },
        Hostile("damaged attributes", "damaged") { $0.add("x", Data("999 path=".utf8), kind: "x") },
        Hostile("huge attributes", "attributes") { $0.add("x", Data(count: 70_000), kind: "g") },
        Hostile("a file twice", "twice") {
            $0.add("me/a", Data("1".utf8))
            $0.add("me/./A", Data("2".utf8))
        },
        Hostile("too deep", "deeper") { $0.add("a/b/c/d/e/f/g/h/i", Data("x".utf8)) },
        Hostile("no file", "no file") { $0.add("me/", kind: "5") },
        Hostile("nothing", "no file", { _ in }),
        Hostile("a folder with content", "content") { $0.add("me/", Data("x".utf8), kind: "5") },
        Hostile("no end", "cut off", { $0.add("me/a", Data("x".utf8)) }, isFinished: false),
        Hostile("more than it has", "cut off", { $0.add("me/a", Data("x".utf8), size: 1 << 30) }, isFinished: false),
        Hostile("something behind the end", "behind its end") {
            $0.add("me/a", Data("x".utf8))
            $0.data += Data(count: 512) + Data("more".utf8)
        },
    ]

    @Test("what could lead out of the folder, or is no plain file, is refused in words", arguments: hostile)
    func hostile(_ archive: Hostile) throws {
        for pieces in [Int.max, 100] {
            let error = try #require(throws: VisemeError.self) { _ = try files(archive.data, pieces: pieces) }
            #expect(error.message.contains(archive.word), "\(error.message)")
        }
    }

    @Test("compressed archives are told apart")
    func compressed() throws {
        for head in [[0x1F, 0x8B, 8, 0], [0x50, 0x4B, 3, 4], [0x28, 0xB5, 0x2F, 0xFD]] as [[UInt8]] {
            let error = try #require(throws: VisemeError.self) { _ = try files(Data(head) + Data(count: 2000)) }
            #expect(error.code == .unsupported)
        }
    }

    @Test("every truncation is an error, and no mutation of a header traps or leads out")
    func mutations() throws {
        let whole = sound
        let end = whole.count - 1024
        for length in stride(from: 0, through: end, by: 97) {
            #expect(throws: VisemeError.self) { _ = try files(whole.prefix(length)) }
        }
        var random = SeededRandom(11)
        for _ in 0..<3000 {
            var data = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                data[Int.random(in: 0..<data.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            do {
                for path in try files(data).keys {
                    #expect(!path.hasPrefix("/") && !path.split(separator: "/").contains(".."))
                }
            } catch is VisemeError {
                continue
            }
        }
    }
}
