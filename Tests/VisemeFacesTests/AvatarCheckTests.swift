import Foundation
import Testing
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX
import VisemeTestSupport

@testable import VisemeFaces

@Suite("What an avatar's parts say of one another", .serialized, .enabled(if: Repository.canRunModels))
struct AvatarCheckTests {
    /// Robin with something spoiled.
    private func report(_ spoil: (URL) throws -> Void) async throws -> DoctorReport {
        try await withTemporaryFolder { folder in
            let pack = folder.appending(path: "robin.avatar")
            try FileManager.default.copyItem(at: Repository.robin, to: pack)
            try spoil(pack)
            let runner = try Models.runner()
            let check = try await AvatarCheck(
                try Avatar(contentsOf: pack), backend: TranslatingBackend(splitting: runner),
                models: try await Models.load(), media: FFmpeg())
            var report = DoctorReport()
            try await check.run(&report)
            return report
        }
    }

    private func change(_ file: String, in pack: URL, _ change: (inout [String: Any]) throws -> Void) throws {
        let url = pack.appending(path: file)
        var json = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
        try change(&json)
        try JSONSerialization.data(withJSONObject: json).write(to: url)
    }

    private func move(_ pack: URL, by offset: (Int) -> (Int, Int)) throws {
        try change("crops.json", in: pack) { json in
            let squares = try #require(json["squares"] as? [[Int]])
            json["squares"] = squares.enumerated().map { k, s in
                let (x, y) = offset(k)
                return [s[0] + x, s[1] + y, s[2] + x, s[3] + y]
            }
        }
    }

    @Test("robin is well")
    func robin() async throws {
        let report = try await report { _ in }
        #expect(report.isHealthy)
        #expect(report.findings.count >= 7)
        #expect(report.warned.isEmpty, "\(report.findings.filter { $0.outcome == .warn }.map(\.message))")
    }

    @Test("a crop that trembles is found")
    func jitter() async throws {
        let report = try await report { pack in try move(pack) { (($0 * 7) % 5 - 2, ($0 * 3) % 5 - 2) } }
        #expect(report.guilty == .crop)
        #expect(report.findings.contains { $0.outcome == .bad && $0.message.contains("from frame to frame") })
    }

    @Test("crops of another template are found")
    func stray() async throws {
        let report = try await report { pack in try move(pack) { $0 < 20 ? (60, 0) : (0, 0) } }
        #expect(report.guilty == .crop)
        #expect(report.findings.contains { $0.outcome == .bad && $0.message.contains("strays") })
    }

    @Test("a mask that does not hold the mouth is found, and one at the crop's edge")
    func mask() async throws {
        let report = try await report { pack in
            let url = pack.appending(path: "mask.pgm")
            var data = try Data(contentsOf: url)
            let avatar = try Avatar(contentsOf: pack)
            let size = avatar.manifest.geometry.roi
            // The left half is drawn alone, to the very edge.
            let start = data.count - size.count
            for pixel in 0..<size.count { data[start + pixel] = pixel % size.width < size.width / 2 ? 255 : 0 }
            try data.write(to: url)
            try change("avatar.json", in: pack) { json in
                json["mask"] = ["file": "mask.pgm", "sha256": ModelFile.sha256(of: data)]
            }
        }
        #expect(report.guilty == .crop)
        #expect(report.findings.contains { $0.outcome == .bad && $0.message.contains("lips lie inside") })
        #expect(report.findings.contains { $0.outcome == .warn && $0.message.contains("crop's edge") })
    }
}
