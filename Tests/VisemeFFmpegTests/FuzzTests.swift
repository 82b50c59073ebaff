import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg

@Suite("Damaged files")
struct FuzzTests {
    let scratch: Scratch
    let backend = FFmpeg()

    init() throws { scratch = try Scratch() }

    enum Kind: String, CaseIterable, Sendable { case wav, mp4, mov, mkv, png }

    /// A small valid file.
    private func valid(_ kind: Kind) async throws -> [UInt8] {
        let wave = Wave(
            rate: 24_000, channels: [Wave.sine(6000, rate: 24_000), Wave.sine(6000, rate: 24_000)], listBytes: 26)
        if kind == .wav { return wave.bytes }
        if kind == .png {
            let folder = scratch.url.appendingPathComponent("pictures", isDirectory: true)
            try await Pictures.write(1, to: folder)
            return try [UInt8](Data(contentsOf: folder.appendingPathComponent("000000.png")))
        }
        let sound = try scratch.write(wave.bytes, "in.wav")
        let url = scratch.file("valid.\(kind.rawValue)")
        try await Pictures.write(7, to: url, sound: sound)
        return try [UInt8](Data(contentsOf: url))
    }

    /// Reads a file in every way; only our own errors may come out.
    private func readAll(_ url: URL, _ kind: Kind, _ what: String) async {
        do {
            if kind != .png {
                let reader = try await backend.speech(at: url)
                var total = 0
                while let chunk = try await reader.read(), total < 16_000 * 600 { total += chunk.count }
                _ = await reader.warnings
            }
        } catch {
            #expect(error is VisemeError, "\(what): \(error)")
        }
        do {
            if kind != .wav {
                let pattern = url.deletingLastPathComponent().appendingPathComponent("%d.png")
                let template = try await backend.template(at: kind == .png ? pattern : url, memory: 100_000)
                for number in [0, template.frameCount - 1, template.frameCount / 2] {
                    _ = try await template.frame(at: number).image()
                }
            }
        } catch {
            #expect(error is VisemeError, "\(what): \(error)")
        }
        do {
            _ = try await backend.probe(url)
        } catch {
            #expect(error is VisemeError, "\(what): \(error)")
        }
    }

    @Test("Every truncation is an error of ours or a shorter file", arguments: Kind.allCases)
    func truncations(kind: Kind) async throws {
        let bytes = try await valid(kind)
        let url = scratch.file(kind == .png ? "0.png" : "cut.\(kind.rawValue)")
        let lengths = Array(0..<64) + stride(from: 64, to: bytes.count, by: max(1, bytes.count / 60))
        for length in lengths {
            try Data(bytes.prefix(length)).write(to: url)
            await readAll(url, kind, "\(kind) cut at \(length)")
        }
    }

    @Test("Changed bytes never trap, seed 1", arguments: Kind.allCases)
    func mutations(kind: Kind) async throws {
        let bytes = try await valid(kind)
        let url = scratch.file(kind == .png ? "0.png" : "changed.\(kind.rawValue)")
        var numbers = SeededRandom(1)
        for round in 0..<100 {
            var changed = bytes
            // Half of the changes go where the structure is: the first kilobyte.
            for _ in 0..<Int.random(in: 1...8, using: &numbers) {
                let limit = Bool.random(using: &numbers) ? min(1024, bytes.count) : bytes.count
                let place = Int.random(in: 0..<limit, using: &numbers)
                changed[place] =
                    [0, 255, 127, 128, UInt8.random(in: 0...255, using: &numbers)].randomElement(using: &numbers) ?? 0
            }
            try Data(changed).write(to: url)
            await readAll(url, kind, "\(kind), round \(round)")
        }
    }

    @Test("A damaged sound source makes the writer throw or write a whole file, seed 2")
    func writers() async throws {
        let bytes = try await valid(.mp4)
        var numbers = SeededRandom(2)
        for round in 0..<40 {
            var changed = bytes
            for _ in 0..<4 {
                changed[Int.random(in: 0..<bytes.count, using: &numbers)] = UInt8.random(in: 0...255, using: &numbers)
            }
            let sound = try scratch.write(changed, "sound.mp4")
            let url = scratch.file("out.mkv")
            do {
                try await Pictures.write(3, to: url, sound: sound, width: 16, height: 16, overwrite: true)
            } catch {
                #expect(error is VisemeError, "round \(round): \(error)")
            }
            #expect(try !scratch.names().contains { $0.contains(".partial-") })
        }
    }
}
