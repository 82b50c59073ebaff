import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

/// What people have on disk, made by the test.
private struct Source {
    var url: URL

    init(in folder: URL) throws {
        url = folder.appending(path: "source")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    func write(_ text: String, _ path: String) throws {
        let file = url.appending(path: path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func remove(_ path: String) throws { try FileManager.default.removeItem(at: url.appending(path: path)) }

    /// full_body_img/0.jpg… with landmarks/0.lms…
    func dataset(frames: Int) throws {
        for k in 0..<frames {
            try write("image \(k)", "full_body_img/\(k).jpg")
            let points = (0..<110).map {
                $0 == 1 ? "\(8 + k % 3) 0" : $0 == 31 ? "\(24 + k % 3).7 9" : $0 == 52 ? "1 6" : "5 5"
            }
            try write(points.joined(separator: k % 2 == 0 ? "\n" : "\r\n") + "\n", "landmarks/\(k).lms")
        }
    }

    /// full_body_img/1.jpg… with cache/crop_rectangles.json, precut images and models.
    func package(frames: Int, hash: String? = nil) throws {
        var entries: [String: Any] = [:]
        for k in 0..<frames {
            for folder in ["full_body_img", "crops_328", "rois_320", "model_inputs"] {
                try write("\(folder) \(k)", "\(folder)/\(k + 1).jpg")
            }
            entries["\(k)"] = ["rect": [8 + k % 3, 6, 24 + k % 3, 22], "original_path": "D:\\stale\\\(k).jpg"]
        }
        try write(
            String(decoding: JSONSerialization.data(withJSONObject: entries), as: UTF8.self),
            "cache/crop_rectangles.json")
        try write("a generator", "models/generator.onnx")
        try write("an encoder", "models/audio_encoder.onnx")
        let digest = hash ?? ModelFile.sha256(of: Data("a generator".utf8))
        try write(
            "{\"generator\": {\"sha256\": \"\(digest.uppercased())\"}, \"audio_encoder\": {}}", "onnx_dist_config.json")
    }
}

@Suite("Avatar importer")
struct AvatarImporterTests {
    /// Imports with media that see the images as 40×30.
    private func run(
        _ source: Source, to target: URL, models: [ModelRole: URL] = [:], overwrite: Bool = false, width: Int = 40,
        side: Int? = nil
    ) async throws {
        var importer = AvatarImporter(
            name: "ada", media: FakeMedia(template: FakeTemplate(frameCount: 12, width: width, height: 30)),
            read: { role, url in
                guard let data = try? Data(contentsOf: url) else {
                    throw VisemeError(.noInput, "no model at \(url.path)")
                }
                let shapes = side.map {
                    [.fixed(1), .fixed(6), .fixed($0), .fixed($0)] as [TensorDescription.Dimension]
                }
                let inputs = shapes.map { [TensorDescription(name: "input", shape: $0)] } ?? []
                let description = ModelDescription(
                    role: role, file: url.lastPathComponent, sha256: ModelFile.sha256(of: data),
                    inputs: role == .generator ? inputs : [], outputs: [])
                return (description, data)
            })
        importer.models = models
        importer.licence = "CC0-1.0"
        try await importer.run(from: source.url, to: target, overwrite: overwrite)
    }

    /// Runs an import that must fail, and checks that nothing is left.
    private func expectFailure(
        _ says: String, code: VisemeError.Code = .badData, width: Int = 40, _ prepare: (Source) throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try prepare(source)
            let target = folder.appending(path: "ada.avatar")
            let error = await #expect(throws: VisemeError.self) { try await run(source, to: target, width: width) }
            #expect(error?.code == code)
            #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["source"])
        }
    }

    @Test("A SyncTalk_2D dataset becomes a pack: 0-based images, squares from landmarks, the standard mask")
    func dataset() async throws {
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try source.dataset(frames: 12)
            let target = folder.appending(path: "ada.avatar")
            try await run(source, to: target)
            let avatar = try Avatar(contentsOf: target)
            #expect(avatar.manifest.frames == 12)
            #expect(avatar.manifest.geometry == GeneratorFamily.syncTalk2D.geometry)
            #expect(avatar.manifest.models.isEmpty)
            #expect(avatar.manifest.precut == nil)
            #expect(avatar.squares[2].corners == [10, 6, 26, 22])
            // By number, not by name: 10 comes after 9.
            #expect(try String(contentsOf: target.appending(path: "frames/000010.jpg"), encoding: .utf8) == "image 10")
        }
    }

    @Test("A dataset takes models by path")
    func datasetWithModels() async throws {
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try source.dataset(frames: 3)
            let model = folder.appending(path: "mine.onnx")
            try Data("mine".utf8).write(to: model)
            let target = folder.appending(path: "ada.avatar")
            try await run(source, to: target, models: [.generator: model])
            let avatar = try Avatar(contentsOf: target)
            #expect(avatar.manifest.models.map(\.file) == ["generator.onnx"])
            #expect(try avatar.model(.generator).read() == Data("mine".utf8))
        }
    }

    @Test("A flattened package becomes a pack: 1-based images, its own cuts, mask and models")
    func package() async throws {
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try source.package(frames: 12)
            let target = folder.appending(path: "ada.avatar")
            try await run(source, to: target)
            let avatar = try Avatar(contentsOf: target)
            #expect(avatar.manifest.frames == 12)
            #expect(avatar.manifest.geometry.mask == [5, 5, 311, 306])
            #expect(avatar.manifest.precut?.masked == "masked/%06d.jpg")
            #expect(avatar.squares[1].corners == [9, 6, 25, 22])
            try avatar.verify()
            #expect(
                try String(contentsOf: target.appending(path: "frames/000000.jpg"), encoding: .utf8)
                    == "full_body_img 0")
            #expect(
                try String(contentsOf: target.appending(path: "masked/000011.jpg"), encoding: .utf8)
                    == "model_inputs 11")
        }
    }

    @Test("An existing target is kept, unless it may be replaced")
    func existing() async throws {
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try source.dataset(frames: 3)
            let target = folder.appending(path: "ada.avatar")
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: target.appending(path: "note.txt"))
            let error = await #expect(throws: VisemeError.self) { try await run(source, to: target) }
            #expect(error?.code == .cannotCreate)
            #expect(FileManager.default.fileExists(atPath: target.appending(path: "note.txt").path))
            try await run(source, to: target, overwrite: true)
            #expect(try Avatar(contentsOf: target).manifest.frames == 3)
            #expect(!FileManager.default.fileExists(atPath: target.appending(path: "note.txt").path))
        }
    }

    @Test("The geometry is that of the generator's image", arguments: [320: 328, 160: 168])
    func geometry(side: Int, crop: Int) async throws {
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try source.dataset(frames: 3)
            try source.write("a generator", "g.onnx")
            let target = folder.appending(path: "ada.avatar")
            try await run(source, to: target, models: [.generator: source.url.appending(path: "g.onnx")], side: side)
            let geometry = try Avatar(contentsOf: target).manifest.geometry
            #expect(
                geometry == GeneratorFamily.syncTalk2D.geometry(roi: PixelSize(square: side))
                    && geometry.crop.width == crop)
        }
    }

    @Test("A generator of a size that no known model has is refused, and one of 160 pixels with a package of 320")
    func otherGeometry() async throws {
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try source.dataset(frames: 3)
            try source.write("a generator", "g.onnx")
            let model = [ModelRole.generator: source.url.appending(path: "g.onnx")]
            let target = folder.appending(path: "ada.avatar")
            let error = await #expect(throws: VisemeError.self) {
                try await run(source, to: target, models: model, side: 256)
            }
            #expect(error?.code == .unsupported && error?.message.contains("256×256") == true)
        }
        try await withTemporaryFolder { folder in
            let source = try Source(in: folder)
            try source.package(frames: 3)
            let target = folder.appending(path: "ada.avatar")
            let error = await #expect(throws: VisemeError.self) { try await run(source, to: target, side: 160) }
            #expect(error?.code == .unsupported && error?.message.contains("160×160") == true)
        }
    }

    @Test("A missing frame is named")
    func missingFrame() async throws {
        try await expectFailure("frame 4.jpg is missing") {
            try $0.dataset(frames: 12)
            try $0.remove("full_body_img/4.jpg")
        }
        try await expectFailure("frame 1.jpg is missing") {
            try $0.package(frames: 12)
            try $0.remove("full_body_img/1.jpg")
        }
        try await expectFailure("frame 7.jpg is missing") {
            try $0.package(frames: 12)
            try $0.remove("rois_320/7.jpg")
        }
        try await expectFailure("11 images") {
            try $0.package(frames: 12)
            try $0.remove("crops_328/12.jpg")
        }
    }

    @Test("Missing or broken landmarks are named")
    func landmarks() async throws {
        try await expectFailure("Frame 5 has no readable landmarks") {
            try $0.dataset(frames: 12)
            try $0.remove("landmarks/5.lms")
        }
        try await expectFailure("landmarks/5.lms") {
            try $0.dataset(frames: 12)
            try $0.write("1 2\n3 4\n", "landmarks/5.lms")
        }
    }

    @Test("A rectangle out of the frame, or none, is named")
    func rectangles() async throws {
        try await expectFailure("Frame 0 of", width: 20) { try $0.dataset(frames: 12) }
        try await expectFailure("no entry \"2\"") {
            try $0.package(frames: 3)
            try $0.write(
                "{\"0\": {\"rect\": [8,6,24,22]}, \"1\": {\"rect\": [8,6,24,22]}}", "cache/crop_rectangles.json")
        }
        try await expectFailure("entry \"0\"") {
            try $0.package(frames: 1)
            try $0.write("{\"0\": {\"rect\": [8,6,24]}}", "cache/crop_rectangles.json")
        }
        try await expectFailure("crop_rectangles.json") {
            try $0.package(frames: 1)
            try $0.write("[1]", "cache/crop_rectangles.json")
        }
    }

    @Test("A model whose hash is not the package's is refused")
    func wrongHash() async throws {
        try await expectFailure("onnx_dist_config.json says") { try $0.package(frames: 3, hash: TestPack.sha) }
        try await expectFailure("onnx_dist_config.json") {
            try $0.package(frames: 3)
            try $0.write("{", "onnx_dist_config.json")
        }
    }

    @Test("What is no source at all is said to be none")
    func noSource() async throws {
        try await expectFailure("neither a SyncTalk_2D dataset nor a flattened package") { _ in }
        try await expectFailure("no numbered .jpg or .png") { try $0.write("", "full_body_img/readme.txt") }
        try await withTemporaryFolder { folder in
            var source = try Source(in: folder)
            source.url = folder.appending(path: "nowhere")
            let error = await #expect(throws: VisemeError.self) {
                try await run(source, to: folder.appending(path: "ada.avatar"))
            }
            #expect(error?.code == .noInput)
        }
    }
}
