import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

/// Packs of the compact family whose manifest, crops or mask are wrong.
@Suite("Broken packs of the compact family")
struct CompactRefusalTests {
    struct Fault: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var says: [String]
        var file = "avatar.json"
        var change: @Sendable (inout [String: Any]) -> Void
    }

    static let faults = [
        Fault(testDescription: "no mask", says: ["\"mask\" is missing"]) { $0["mask"] = nil },
        Fault(testDescription: "a hash of nobody", says: ["'mask.pgm'", "64"]) {
            $0["mask"] = ["file": "mask.pgm", "sha256": "12"]
        },
        Fault(testDescription: "another hash", says: ["'mask.pgm'", "SHA-256"]) {
            $0["mask"] = ["file": "mask.pgm", "sha256": String(repeating: "0", count: 64)]
        },
        Fault(testDescription: "a mask outside the pack", says: ["../mask.pgm"]) {
            $0["mask"] = ["file": "../mask.pgm", "sha256": String(repeating: "0", count: 64)]
        },
        Fault(testDescription: "a mask that is not there", says: ["nothing.pgm"]) {
            $0["mask"] = ["file": "nothing.pgm", "sha256": String(repeating: "0", count: 64)]
        },
        Fault(testDescription: "a picture as mask", says: ["'crops.json'", "P5"]) {
            $0["mask"] = ["file": "crops.json", "sha256": String(repeating: "0", count: 64)]
        },
        Fault(testDescription: "a size of another step", says: ["roi 200×128", "multiples of 16"]) {
            $0["geometry"] = ["crop": [200, 128], "roi": [200, 128], "border": 0]
        },
        Fault(testDescription: "a size that the mask has not", says: ["crop rectangle"]) {
            $0["geometry"] = ["crop": [208, 128], "roi": [208, 128], "border": 0]
        },
        Fault(testDescription: "a border", says: ["border 4"]) {
            $0["geometry"] = ["crop": [200, 136], "roi": [192, 128], "border": 4]
        },
        Fault(testDescription: "a rectangle as mask", says: ["picture"]) {
            $0["geometry"] = ["crop": [192, 128], "roi": [192, 128], "border": 0, "mask": [5, 5, 100, 100]]
        },
        Fault(testDescription: "three sizes", says: ["width, height"]) {
            $0["geometry"] = ["crop": [192, 128, 3], "roi": [192, 128], "border": 0]
        },
        Fault(testDescription: "SyncTalk's feature window", says: ["\"rows16\"", "\"rows32\""]) {
            $0["featureWindow"] = "rows16"
        },
        Fault(testDescription: "ready-made crops", says: ["precut"]) {
            $0["precut"] = ["crops": "a/%06d.jpg", "rois": "b/%06d.jpg", "masked": "c/%06d.jpg"]
        },
        Fault(testDescription: "a crop of another size", says: ["frame 2", "192×128"], file: "crops.json") {
            var squares = $0["squares"] as? [[Int]] ?? []
            squares[2][3] -= 1
            $0["squares"] = squares
        },
        Fault(testDescription: "a crop outside", says: ["frame 1", "reaches out"], file: "crops.json") {
            var squares = $0["squares"] as? [[Int]] ?? []
            squares[1] = [40, 20, 232, 148]
            $0["squares"] = squares
        },
    ]

    @Test("Each is refused, and the error says what is wrong", arguments: faults)
    func refused(_ fault: Fault) async throws {
        try await withTemporaryFolder { folder in
            let pack = try TinyPack(in: folder, of: CompactPackTests.original)
            try pack.edit(fault.file, fault.change)
            let error = #expect(throws: VisemeError.self) { try Avatar(contentsOf: pack.url) }
            for word in fault.says {
                #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
            }
        }
    }

    @Test("A mask in a pack of the other family is refused")
    func otherFamily() async throws {
        try await withTemporaryFolder { folder in
            let pack = try TinyPack(in: folder)
            try pack.edit { $0["mask"] = ["file": "mask.pgm", "sha256": String(repeating: "0", count: 64)] }
            let error = #expect(throws: VisemeError.self) { try Avatar(contentsOf: pack.url) }
            #expect(error?.code == .badData && error?.message.contains("synctalk-2d") == true)
        }
    }

    @Test("The manifest is written as it was read")
    func written() async throws {
        try await withTemporaryFolder { folder in
            let manifest = try Avatar(contentsOf: CompactPackTests.original).manifest
            try manifest.write(into: folder)
            let text = try String(contentsOf: folder.appending(path: "avatar.json"), encoding: .utf8)
            #expect(text.contains("\"family\" : \"compact\"") && text.contains("\"mask.pgm\""))
            let read = try JSONDecoder().decode(
                AvatarManifest.self, from: Data(contentsOf: folder.appending(path: "avatar.json")))
            #expect(read == manifest)
        }
    }
}
