import Foundation
import Testing
import VisemeTestSupport
import Viseme

/// A NumPy file of Float32.
private struct Numpy {
    var shape: [Int]
    var values: [Float]

    init(_ url: URL) throws {
        let data = try Data(contentsOf: url)
        try #require(data.prefix(8) == Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0]))
        let length = Int(data[8]) + Int(data[9]) << 8
        try #require((10 + length) % 64 == 0)
        let header = String(decoding: data[10..<10 + length], as: UTF8.self)
        try #require(
            header.contains("'descr': '<f4'") && header.contains("'fortran_order': False") && header.hasSuffix("\n"))
        let inside = header.split(separator: "(")[1].split(separator: ")")[0]
        shape = inside.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
        values = data.dropFirst(10 + length).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
        try #require(values.count == shape.reduce(1, *))
    }
}

extension CommandLineTests {
    @Suite("Features")
    struct FeaturesTests {
        @Test(
            "mel.npy, windows.npy and features.npy have the contract's shapes",
            arguments: [(1, 16, 2), (16000, 81, 22), (32000, 161, 47)])
        func writes(samples: Int, columns: Int, windows: Int) async throws {
            try await withTemporaryFolder { folder in
                try WaveFile(frames: samples).data.write(to: folder.appending(path: "speech.wav"))
                let arguments = ["features", "speech.wav", "-o", "out", "--avatar", TinyPack.original.path]
                let outcome = try await Program.run(arguments, in: folder)
                #expect(outcome.status == 0, "\(outcome.errors)")
                let out = folder.appending(path: "out")
                #expect(try names(in: out) == ["features.npy", "mel.npy", "windows.npy"])
                let mel = try Numpy(out.appending(path: "mel.npy"))
                let cut = try Numpy(out.appending(path: "windows.npy"))
                let rows = try Numpy(out.appending(path: "features.npy"))
                #expect(mel.shape == [80, columns])
                #expect(cut.shape == [windows, 80, 16])
                #expect(rows.shape == [windows + 2, 512])
                #expect(Array(mel.values[0..<16]) == Array(cut.values[0..<16]))
                #expect(mel.values.allSatisfy { (-4...4).contains($0) })
                #expect(rows.values[0..<512] == rows.values[512..<1024].prefix(512))
                #expect(rows.values.suffix(512) == rows.values.dropLast(512).suffix(512))
                #expect(rows.values.allSatisfy { $0 >= 0 })

                let again = try await Program.run(arguments, in: folder)
                #expect(again.status == 73 && again.errors.contains("mel.npy"))
                #expect(try await Program.run(arguments + ["--force"], in: folder).status == 0)
            }
        }

        @Test("Bad audio and an output below a file are errors")
        func refuses() async throws {
            try await withTemporaryFolder { folder in
                try Data("no sound".utf8).write(to: folder.appending(path: "bad.wav"))
                try WaveFile(frames: 3000).data.write(to: folder.appending(path: "good.wav"))
                for (audio, output, status) in [
                    ("bad.wav", "out", 65), ("nowhere.wav", "out", 66), ("good.wav", "bad.wav/out", 73),
                ] as [(String, String, Int32)] {
                    let outcome = try await Program.run(
                        ["features", audio, "-o", output, "--avatar", TinyPack.original.path], in: folder)
                    #expect(outcome.status == status, "\(outcome.errors)")
                }
                #expect(try names(in: folder) == ["bad.wav", "good.wav"])
            }
        }
    }

    @Suite("Avatar commands")
    struct AvatarCommandTests {
        /// The tiny pack taken apart again, as the two kinds of source that people have.
        private func source(in folder: URL, flattened: Bool) throws -> URL {
            let files = FileManager.default
            let source = folder.appending(path: "source")
            let images = source.appending(path: "full_body_img")
            try files.createDirectory(at: images, withIntermediateDirectories: true)
            let avatar = try Avatar(contentsOf: TinyPack.original)
            var entries: [String: Any] = [:]
            for (k, square) in avatar.squares.enumerated() {
                try files.copyItem(
                    at: TinyPack.original.appending(path: "frames/00000\(k).jpg"),
                    to: images.appending(path: "\(flattened ? k + 1 : k).jpg"))
                entries["\(k)"] = ["rect": square.corners]
                let corners = square.corners
                let points = (0..<110).map {
                    $0 == 1
                        ? "\(corners[0]) 0" : $0 == 31 ? "\(corners[2]) 0" : $0 == 52 ? "0 \(corners[1])" : "9.5 9.5"
                }
                if !flattened {
                    try files.createDirectory(
                        at: source.appending(path: "landmarks"), withIntermediateDirectories: true)
                    try Data(points.joined(separator: "\n").utf8).write(
                        to: source.appending(path: "landmarks/\(k).lms"))
                }
            }
            if flattened {
                for name in ["cache", "models"] {
                    try files.createDirectory(at: source.appending(path: name), withIntermediateDirectories: true)
                }
                try JSONSerialization.data(withJSONObject: entries).write(
                    to: source.appending(path: "cache/crop_rectangles.json"))
                for name in ["generator", "audio_encoder"] {
                    try files.copyItem(
                        at: TinyPack.original.appending(path: "\(name).onnx"),
                        to: source.appending(path: "models/\(name).onnx"))
                }
                let hashes = avatar.manifest.models.map {
                    "\"\($0.role == .generator ? "generator" : "audio_encoder")\": {\"sha256\": \"\($0.sha256)\"}"
                }
                try Data("{\(hashes.joined(separator: ", "))}".utf8).write(
                    to: source.appending(path: "onnx_dist_config.json"))
            }
            return source
        }

        @Test("info checks the pack and says what it is")
        func info() async throws {
            try await withTemporaryFolder { folder in
                let outcome = try await Program.run(["avatar", "info", TinyPack.original.path], in: folder)
                #expect(outcome.status == 0, "\(outcome.errors)")
                for text in ["tiny", "6 frames, 160×120", "CC0-1.0", "generator.onnx", "verified", "[B,6,320,320]"] {
                    #expect(outcome.output.contains(text), "\(outcome.output)")
                }
                let json = try await Program.run(["avatar", "info", TinyPack.original.path, "--json"], in: folder)
                #expect(try JSONDecoder().decode(AvatarManifest.self, from: Data(json.output.utf8)).name == "tiny")

                let pack = try TinyPack(in: folder)
                try pack.write("changed", "generator.onnx")
                let changed = try await Program.run(["avatar", "info", "tiny.avatar"], in: folder)
                #expect(changed.status == 65 && changed.errors.contains("generator.onnx"))
                #expect(try await Program.run(["avatar", "info", "nobody"], in: folder).status == 66)
            }
        }

        @Test("Both kinds of source become packs that render", arguments: [false, true])
        func imports(flattened: Bool) async throws {
            try await withTemporaryFolder { folder in
                _ = try source(in: folder, flattened: flattened)
                var arguments = ["avatar", "import", "source", "ada.avatar", "--licence", "CC0-1.0"]
                if !flattened {
                    arguments += ["--generator", TinyPack.original.appending(path: "generator.onnx").path]
                    arguments += ["--audio-encoder", TinyPack.original.appending(path: "audio_encoder.onnx").path]
                }
                let outcome = try await Program.run(arguments, in: folder)
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(outcome.output == "ada.avatar\n")
                let pack = try Avatar(contentsOf: folder.appending(path: "ada.avatar"))
                let original = try Avatar(contentsOf: TinyPack.original)
                #expect(pack.squares == original.squares)
                #expect(pack.manifest.models.map(\.sha256) == original.manifest.models.map(\.sha256))
                try WaveFile(frames: 8000).data.write(to: folder.appending(path: "speech.wav"))
                let video = try await Program.run(
                    ["render", "--avatar", "ada.avatar", "--audio", "speech.wav", "-o", "video.mp4"], in: folder)
                #expect(video.status == 0, "\(video.errors)")
                // Again: it exists.
                #expect(try await Program.run(arguments, in: folder).status == 73)
                #expect(try await Program.run(arguments + ["--force"], in: folder).status == 0)
            }
        }

        @Test("Sources that are incomplete or damaged are refused, and no pack appears")
        func refuses() async throws {
            try await withTemporaryFolder { folder in
                let source = try source(in: folder, flattened: true)
                func expect(_ status: Int32, _ text: String, _ arguments: [String] = []) async throws {
                    let outcome = try await Program.run(
                        ["avatar", "import", "source", "ada.avatar"] + arguments, in: folder)
                    #expect(outcome.status == status, "\(outcome.errors)")
                    #expect(outcome.errors.contains(text), "\(outcome.errors)")
                    #expect(try names(in: folder) == ["source"])
                }
                let config = source.appending(path: "onnx_dist_config.json")
                let good = try Data(contentsOf: config)
                try Data("{\"generator\": {\"sha256\": \"\(String(repeating: "0", count: 64))\"}}".utf8).write(
                    to: config)
                try await expect(65, "onnx_dist_config.json says")
                try good.write(to: config)
                try await expect(66, "nowhere.onnx", ["--generator", "nowhere.onnx"])
                try await expect(
                    65, "[B,6,S,S]", ["--generator", TinyPack.original.appending(path: "audio_encoder.onnx").path])
                try FileManager.default.removeItem(at: source.appending(path: "full_body_img/3.jpg"))
                try await expect(65, "3.jpg")
            }
        }
    }
}
