import Foundation
import Testing
import Viseme
@testable import VisemeModels

/// Pickles and archives made to harm their reader. Each must end quickly in an error of ours.
@Suite("Hostile checkpoints")
struct PyTorchHostileTests {
    struct Attack: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let bytes: [UInt8]
        init(_ name: String, _ bytes: [UInt8]) {
            testDescription = name
            self.bytes = bytes
        }
    }

    private static func text(_ text: String) -> [UInt8] { [0x8C, UInt8(text.utf8.count)] + Array(text.utf8) }
    private static func number(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
    private static let letters = (0x41...0x7A).map { UInt8($0) }

    static let attacks: [Attack] = [
        Attack("nothing", []),
        Attack("a text of 4 GB", [0x80, 2, 0x58] + number(UInt32.max) + letters + [0x2E]),
        Attack("a text of 2⁶³ bytes", [0x80, 4, 0x8D] + number(UInt64(1) << 63) + letters + [0x2E]),
        Attack("bytes of 2⁶⁴ − 1", [0x80, 4, 0x8E] + number(UInt64.max) + letters + [0x2E]),
        Attack("a text of negative length", [0x54] + number(Int32(-1)) + letters + [0x2E]),
        Attack("an integer of 255 bytes that ends early", [0x80, 2, 0x8A, 255, 1, 2, 3, 0x2E]),
        Attack("an integer of 2 GB", [0x80, 2, 0x8B] + number(Int32.max) + letters + [0x2E]),
        Attack("an integer of negative length", [0x80, 2, 0x8B] + number(Int32.min) + letters + [0x2E]),
        Attack("a frame of 2⁶⁴ − 1 bytes", [0x80, 4, 0x95] + number(UInt64.max) + [0x4E, 0x2E]),
        Attack("a line without end", [0x63] + letters),
        Attack("tuples 100 000 deep", [0x29] + [UInt8](repeating: 0x85, count: 100_000) + [0x2E]),
        Attack(
            "lists 50 000 deep",
            [UInt8](repeating: 0x5D, count: 50_000) + [UInt8](repeating: 0x61, count: 49_999) + [0x2E]),
        Attack("100 000 marks", [UInt8](repeating: 0x28, count: 100_000) + [0x2E]),
        Attack("100 000 copies of the top", [0x4E] + [UInt8](repeating: 0x32, count: 100_000) + [0x2E]),
        Attack("100 000 memo entries", [0x4E] + [UInt8](repeating: 0x94, count: 100_000) + [0x2E]),
        Attack("a memo entry at 2³² − 1", [0x4E, 0x72] + number(UInt32.max) + [0x2E]),
        Attack("an unknown memo entry", [0x6A] + number(UInt32.max) + [0x2E]),
        Attack("a list that holds itself", [0x5D, 0x71, 0, 0x68, 0, 0x61, 0x2E]),
        Attack("a dict that holds itself", [0x7D, 0x71, 0] + text("a") + [0x68, 0, 0x73, 0x2E]),
        Attack(
            "a dict that holds itself under 200 letters",
            [0x7D, 0x71, 0] + text(String(repeating: "a", count: 200)) + [0x68, 0, 0x73, 0x2E]),
        Attack("a network that holds itself", network),
        Attack("a dict with every level twice, 60 levels", laughs),
        Attack("the same list made a dict 3 000 times", ordered),
        Attack("a name that is not text", [0x4E, 0x4E, 0x93, 0x2E]),
        Attack("a call of a call", Array("cos\nsystem\n)R)R.".utf8)),
        Attack("a call of a number", [0x4B, 1, 0x29, 0x52, 0x2E]),
        Attack("state for a tuple", [0x29, 0x7D, 0x62, 0x2E]),
        Attack("a dict with a key too many", [0x28, 0x4E, 0x64, 0x2E]),
        Attack("a set instruction on a tuple", [0x29, 0x4E, 0x4E, 0x73, 0x2E]),
        Attack("a tensor without a storage", Array("ctorch._utils\n_rebuild_tensor_v2\n)R.".utf8)),
        Attack("a tensor whose arguments are no tuple", Array("ctorch._utils\n_rebuild_tensor_v2\nNR.".utf8)),
        Attack("a protocol of the future", [0x80, 200, 0x4E, 0x2E]),
        Attack("torch's old form without an object", magic),
        Attack(
            "torch's old form, big-endian",
            magic + [0x4D, 0xE9, 3, 0x2E, 0x7D] + text("little_endian") + [0x89, 0x73, 0x2E]),
    ]

    private static let magic: [UInt8] = [
        0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E, 0x80, 2,
    ]

    /// An object whose `_modules` hold the object itself.
    private static var network: [UInt8] {
        Array("cnet\nNet\n)\u{81}".unicodeScalars.map { UInt8($0.value) }) + [0x71, 0, 0x7D] + text("_modules") + [0x7D]
            + text("again") + [0x68, 0, 0x73, 0x73, 0x62, 0x2E]
    }

    /// d₀ = {}, dₙ₊₁ = {"a": dₙ, "b": dₙ}: 2⁶⁰ names.
    private static var laughs: [UInt8] {
        var bytes: [UInt8] = [0x7D, 0x71, 0]
        for level in 1...60 {
            let below = UInt8(level - 1)
            bytes += [0x7D, 0x71, UInt8(level)] + text("a") + [0x68, below, 0x73] + text("b") + [0x68, below, 0x73]
        }
        return bytes + [0x2E]
    }

    /// OrderedDict(list) again and again, for one list of 3000 pairs.
    private static var ordered: [UInt8] {
        var bytes: [UInt8] = Array("ccollections\nOrderedDict\n".utf8) + [0x71, 0, 0x5D, 0x28]
        for _ in 0..<3000 { bytes += [0x4E, 0x4E, 0x86] }
        bytes += [0x65, 0x85, 0x71, 1]
        for _ in 0..<3000 { bytes += [0x68, 0, 0x68, 1, 0x52] }
        return bytes + [0x2E]
    }

    @Test("Nothing comes of it", arguments: attacks)
    func attack(_ attack: Attack) throws {
        let start = ContinuousClock.now
        let error = try #require(throws: VisemeError.self) {
            try PyTorchCheckpoint.read(Data(attack.bytes), name: "attack.pth")
        }
        #expect(error.hint != nil)
        #expect(ContinuousClock.now - start < .seconds(20), "a hang, not a slow machine")
        // The same pickle as the object of the ZIP form.
        let archive = Self.archive([("a/data.pkl", attack.bytes), ("a/data/0", [0, 0, 0, 0])])
        #expect(throws: VisemeError.self) { try PyTorchCheckpoint.read(archive, name: "attack.pth") }
    }

    @Test("Every instruction on an empty stack is an error or makes something")
    func underflow() {
        for code in UInt8.min...UInt8.max {
            for tail: [UInt8] in [[], [0x2E], [0, 0, 0, 0, 0, 0, 0, 0, 0x2E], [0x31, 0x0A, 0x31, 0x0A, 0x2E]] {
                for head: [UInt8] in [[], [0x28], [0x4E], [0x4E, 0x28], [0x29, 0x29], [0x7D, 0x28, 0x4E]] {
                    #expect(throws: VisemeError.self) {
                        try PyTorchCheckpoint.read(Data(head + [code] + tail), name: "x")
                    }
                }
            }
        }
    }

    @Test("Dicts with a tensor at the bottom cannot unfold without bound")
    func unfolding() throws {
        // {"0": t, "1": t, …}: four thousand names for one storage of 64 KB is more than the file can mean.
        let head = Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8) + Self.text("storage")
        let storage =
            Array("ctorch\nFloatStorage\n".utf8) + Self.text("0") + Self.text("cpu") + [0x4D, 0, 0x40, 0x74, 0x51]
        let tensor = head + storage + [0x4B, 0, 0x4D, 0, 0x40, 0x85, 0x4B, 1, 0x85, 0x74, 0x52, 0x71, 0]
        func file(_ names: Int) -> Data {
            var pickle = tensor + [0x30, 0x7D, 0x28]
            for name in 0..<names { pickle += [0x4D] + Self.number(UInt16(name)) + [0x68, 0] }
            return Self.archive([
                ("a/data.pkl", pickle + [0x75, 0x2E]), ("a/data/0", [UInt8](repeating: 7, count: 65_536)),
            ])
        }
        let shared = try PyTorchCheckpoint.read(file(4), name: "shared.pth")
        #expect(shared.names == ["0", "1", "2", "3"])
        #expect(shared.tensors.allSatisfy { $0.shape == [16_384] && $0.bytes.allSatisfy { $0 == 7 } })
        let error = try #require(throws: VisemeError.self) { try PyTorchCheckpoint.read(file(4000), name: "bomb.pth") }
        #expect(error.message.contains("four times its size"))
    }

    @Test("Archives that contradict themselves are refused")
    func archives() throws {
        let pickle: [UInt8] = [0x7D, 0x2E]
        func refusal(_ data: Data) throws -> String {
            try #require(throws: VisemeError.self) { try PyTorchCheckpoint.read(data, name: "x.pth") }.message
        }
        #expect(try refusal(Self.archive([])).contains("0 entries data.pkl"))
        #expect(try refusal(Self.archive([("a/version", [0x33])])).contains("0 entries data.pkl"))
        #expect(
            try refusal(Self.archive([("a/data.pkl", pickle), ("b/data.pkl", pickle)])).contains("2 entries data.pkl"))
        #expect(try refusal(Self.archive([("a/data.pkl", pickle), ("a/data.pkl", pickle)])).contains("twice"))
        let big = [UInt8](repeating: 0, count: 5000)
        #expect(
            try refusal(Self.archive([("a/data.pkl", pickle), ("a/data/0", big)], aliases: 5)).contains("on top of"))
    }

    /// A ZIP archive of stored entries; with `aliases` the directory names the last one again under other names.
    static func archive(_ entries: [(String, [UInt8])], aliases: Int = 0) -> Data {
        var body: [UInt8] = []
        var directory: [UInt8] = []
        func record(_ name: String, _ data: [UInt8], at offset: Int) {
            let sizes = number(CRC32.sum(Data(data))) + number(UInt32(data.count)) + number(UInt32(data.count))
            directory += [0x50, 0x4B, 1, 2] + [UInt8](repeating: 0, count: 12) + sizes
            directory += number(UInt16(name.utf8.count)) + [UInt8](repeating: 0, count: 12) + number(UInt32(offset))
            directory += Array(name.utf8)
        }
        for (position, (name, data)) in entries.enumerated() {
            for alias in 0...(position == entries.count - 1 ? aliases : 0) {
                record(alias == 0 ? name : "\(name)-\(alias)", data, at: body.count)
            }
            body += [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 22) + number(UInt16(name.utf8.count)) + [0, 0]
            body += Array(name.utf8) + data
        }
        let count = number(UInt16(entries.count + aliases))
        let end =
            [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + count + count + number(UInt32(directory.count))
            + number(UInt32(body.count))
        return Data((body.isEmpty ? [0x50, 0x4B, 3, 4] : []) + body + directory + end + [0, 0])
    }
}
