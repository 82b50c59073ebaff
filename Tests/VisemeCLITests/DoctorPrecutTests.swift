import Foundation
import Testing
import VisemeFFmpeg
import VisemeONNX
import VisemeTestSupport

@testable import Viseme
@testable import VisemeModels

/// Packs that bring their crops, rois and masked rois along, as other programs make them.
@Suite("Doctor, ready-made pictures", .serialized, .enabled(if: Repository.canRunModels))
struct DoctorPrecutTests {
    /// The default pack with ready-made pictures, all of them of the frame that its golden speech belongs to.
    private func precut(
        in folder: URL, masked: (Compositor, Image) -> Image = { $0.masked($1) }
    ) async throws -> BrokenPack {
        let pack = try BrokenPack(in: folder)
        let avatar = try Avatar(contentsOf: pack.url)
        let index = try #require(avatar.manifest.goldenSpeech).templateFrame
        let picture = try await TemplatePicture(index, of: avatar, media: FFmpeg())
        let compositor = Compositor(avatar.manifest.geometry)
        let pictures = [
            ("crops", picture.crop), ("rois", picture.roi), ("masked", masked(compositor, picture.roi)),
        ]
        for (name, image) in pictures {
            let writer = try await FFmpeg().writer(
                VideoRequest(
                    url: pack.url.appending(path: name), width: image.width, height: image.height))
            try await writer.append(image)
            _ = try await writer.finish()
            // Only one of them is looked at; the others must be there.
            let first = pack.url.appending(path: "\(name)/000000.png")
            for frame in 1..<avatar.manifest.frames {
                let other = pack.url.appending(path: "\(name)/\(String(format: "%06d", frame)).png")
                try FileManager.default.linkItem(at: first, to: other)
            }
        }
        try pack.edit {
            $0.precut = .init(crops: "crops/%06d.png", rois: "rois/%06d.png", masked: "masked/%06d.png")
        }
        return pack
    }

    private func examine(_ pack: BrokenPack) async throws -> DoctorReport {
        let path: String = try #require(Repository.onnxRuntime)
        let onnx = try ONNXBackend(libraryPath: path)
        return await Doctor(backend: onnx, runner: onnx, media: FFmpeg()).examine(packAt: pack.url)
    }

    @Test("They are used and compared with the pack's geometry")
    func well() async throws {
        try await withTemporaryFolder { folder in
            let report = try await examine(precut(in: folder))
            #expect(report.isHealthy, "\(report.findings)")
            #expect(report.findings.count { $0.stage == .crop && $0.message.contains("ready-made") } == 2)
        }
    }

    @Test("Rois that were masked in another way are found")
    func wrongMask() async throws {
        try await withTemporaryFolder { folder in
            let pack = try await precut(in: folder) { _, roi in
                Compositor(CropGeometry(crop: 328, roi: 320, border: 4, mask: [5, 5, 310, 290])).masked(roi)
            }
            #expect(try await examine(pack).guilty == .crop)
        }
    }
}
