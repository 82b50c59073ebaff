import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeStreaming

@Suite("Unit headers") struct UnitHeaderTests {
    /// Every field with a value that shows its bytes.
    private static var full: UnitHeader {
        var header = UnitHeader()
        header.number = 0x0403_0201
        header.epoch = 0x0807_0605
        header.state = .waiting
        header.flags = [.first, .last]
        header.kind = .planes
        header.utterance = "abc"
        header.width = 0x0A09
        header.height = 0x0C0B
        header.template = 0x100F_0E0D
        header.pictureBytes = 0x1413_1211
        header.rate = 0x1817_1615
        header.channels = 0x1A19
        header.soundBytes = 0x1E1D_1C1B
        header.position = 0x2625_2423_2221_201F
        return header
    }

    @Test("Every field is where docs/units.md says, little-endian")
    func layout() {
        let expected: [UInt8] =
            [0x56, 0x53, 0x4D, 0x55, 1, 0, 56, 0] + Array(1...8) + [2, 3, 1, 3] + Array(0x09...0x1A) + [0, 0]
            + Array(0x1B...0x1E) + [0, 0, 0, 0] + Array(0x1F...0x26) + Array("abc".utf8)
        #expect(Array(Self.full.bytes) == expected)
        #expect(UnitHeader.length == 56 && Self.full.bytes.count == 59)
    }

    @Test("A mouth's shape lies behind the header's fields, before the name: 7 parameters and 15 weights as Float32")
    func shape() throws {
        var header = Self.full
        header.shape = MouthShape(
            jaw: 0.25, width: -0.5, rounding: 0.125, closure: 0, tuck: 0, teeth: 1, tongue: 0.75)
        let bytes = Array(header.bytes)
        #expect(bytes.count == 56 + 88 + 3 && bytes[6] == 144 && bytes[7] == 0 && bytes.suffix(3) == Array("abc".utf8))
        let values = stride(from: 56, to: 144, by: 4).map { at in
            Float(bitPattern: (0..<4).reversed().reduce(0) { $0 << 8 | UInt32(bytes[at + $1]) })
        }
        #expect(values == [0.25, -0.5, 0.125, 0, 0, 1, 0.75, 1] + [Float](repeating: 0, count: 14))
        #expect(UnitRecord(header: header).byteCount == bytes.count)
    }

    @Test("The example in Python reads what is written, at the boundaries of every field, and in any pieces")
    func python() async throws {
        var records: [UnitRecord] = []
        func add(_ change: (inout UnitHeader) -> Void, picture: Int = 0, sound: Int = 0) {
            var header = UnitHeader()
            change(&header)
            header.pictureBytes = UInt32(picture)
            header.soundBytes = UInt32(sound)
            records.append(
                UnitRecord(
                    header: header, picture: Data(repeating: UInt8(records.count), count: picture),
                    sound: Data(repeating: 9, count: sound)))
        }
        add({ ($0.kind, $0.template) = (.planes, 0) }, picture: 6, sound: 4)
        add { ($0.number, $0.epoch, $0.position) = (.max, .max, .max) }
        add({ ($0.width, $0.height, $0.rate, $0.channels) = (.max, .max, .max, .max) }, sound: 2)
        add {
            ($0.utterance, $0.flags, $0.state) = (String(repeating: "z", count: 255), [.mark, .interrupted], .speaking)
        }
        add({ $0.kind = .planes }, picture: 3)
        add { ($0.kind, $0.template) = (.template, 0) }
        add({ ($0.shape, $0.utterance) = (MouthShape(jaw: 1), "shaped") }, sound: 4)
        add { ($0.state, $0.flags) = (.ended, .mark) }
        let read = try await Self.read(records)
        #expect(read.count == records.count)
        for (line, record) in zip(read, records) {
            let header = record.header
            #expect(
                line.hasPrefix(
                    "\(header.number) \(header.epoch) \(header.state) \(header.flags.rawValue) \(header.utterance) \(header.position) "
                        + "\(header.width) \(header.height) \(header.rate) \(header.channels) \(record.sound.count) "))
        }
        let pictures = read.map { String($0.split(separator: " ").last ?? "") }
        let first = String(repeating: "00", count: 6)
        #expect(pictures == [first, first, first, first, "040404", first, first, first])
    }

    /// The records as Examples/units.py reads them.
    private static func read(_ records: [UnitRecord]) async throws -> [String] {
        try await withTemporaryFolder { folder in
            let file = folder.appending(path: "units")
            try records.reduce(Data()) { $0 + $1.header.bytes + $1.picture + $1.sound }.write(to: file)
            let script = """
                import units
                for u in units.units(open("\(file.path)", "rb")):
                    print(u["number"], u["epoch"], u["state"], u["flags"], u["utterance"], u["position"], u["width"], u["height"],
                          u["rate"], u["channels"], len(u["sound"]), u["picture"].hex())
                """
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = ["python3", "-B", "-c", script]
            process.environment = ProcessInfo.processInfo.environment.merging(
                ["PYTHONPATH": Repository.root.appending(path: "Examples").path]
            ) { $1 }
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let text = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    @Test("Samples become 16-bit integers without overflow")
    func samples() {
        let data = UnitFeed.s16le([0, 1, -1, 2, -2, .nan, .infinity, 0.5, -1 / 32_768])
        let values = stride(from: 0, to: data.count, by: 2).map {
            Int16(bitPattern: UInt16(data[$0]) | UInt16(data[$0 + 1]) << 8)
        }
        #expect(values == [0, 32_767, -32_768, 32_767, -32_768, 0, 32_767, 16_384, -1])
    }
}
