import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Families")
struct FamilyTests {
    @Test("Each family has its own name, and is found by it", arguments: GeneratorFamily.known)
    func registry(family: GeneratorFamily) throws {
        #expect(GeneratorFamily.known.count { $0.name == family.name } == 1)
        #expect(try GeneratorFamily.named(family.name) == family)
    }

    @Test("No name is SyncTalk_2D, whose name is not written")
    func unnamed() throws {
        #expect(try GeneratorFamily.named(nil) == .syncTalk2D)
        #expect(GeneratorFamily.syncTalk2D.manifestName == nil)
    }

    @Test("What readers and sessions give fits the families' rates and windows", arguments: GeneratorFamily.known)
    func rates(family: GeneratorFamily) throws {
        #expect(family.mel.sampleRate == AudioFormat.speech.rate)
        #expect(family.frameRate == LiveUnit.perSecond)
        #expect(family.mel.sampleRate % family.frameRate == 0)
        // A mel window begins where its frame does.
        #expect(
            family.melWindow.hopColumns * family.frameRate == family.melWindow.hopWindows * family.mel.columnsPerSecond)
        // The shortest speech has a whole mel window.
        #expect(1 + family.mel.minimumSamples / family.mel.hopSamples >= family.melWindow.columns)
        for geometry in family.geometries { try geometry.validate() }
        #expect(family.generator.inputs.first { $0.role == .audio } != nil)
    }

    @Test("SyncTalk_2D's tensors hold its windows")
    func syncTalk2D() {
        let family = GeneratorFamily.syncTalk2D
        let binding = [family.audioEncoder[.mel], family.generator[.audio]].map {
            $0.description().shape.map(\.length).reduce(1, *)
        }
        #expect(binding == [family.melWindowSize, family.featureWindow.count])
        #expect(family.samplesPerFrame == 640 && family.mel.columnsPerSecond == 80)
        #expect(family.featureWindow.rowsAfter == 7 && family.shortestLookahead == -4)
        #expect(family.lookaheadDuration == .microseconds(452_500))
    }

    @Test(
        "A look-ahead in milliseconds is one in rows",
        arguments: [(0, -4), (40, -4), (212, 0), (213, 1), (452, 6), (453, 7), (10_000, 7)])
    func lookahead(milliseconds: Int, rows: Int) {
        #expect(GeneratorFamily.syncTalk2D.lookahead(within: .milliseconds(milliseconds)) == rows)
    }

    @Test("Audio rows are the feature rows with the first and the last one doubled")
    func doubledEdges() {
        let shape = GeneratorFamily.syncTalk2D.featureWindow
        #expect((-1...6).map { shape.featureRow(ofAudioRow: $0, total: 4) } == [nil, 0, 0, 1, 2, 3, 3, nil])
        #expect((-1...6).map { shape.featureRow(ofAudioRow: $0, total: nil) } == [nil, 0, 0, 1, 2, 3, 4, 5])
        #expect((-1...3).map(shape.rowsNeeded(forAudioRow:)) == [0, 1, 1, 2, 3])
        #expect(shape.audioRows(ofFrame: 3, .rows16) == Array(-5...10))
        #expect(shape.audioRows(ofFrame: 3, .tile) == [Int](repeating: 3, count: 16))
    }
}

@Suite("The key \"family\" of avatar.json")
struct FamilyKeyTests {
    @Test("Without it, and with today's name, a pack is SyncTalk_2D's", arguments: [nil, "synctalk-2d"])
    func known(name: String?) async throws {
        try await withTemporaryFolder { folder in
            let pack = TestPack(manifest: name.map { ["family": $0] } ?? [:])
            let avatar = try Avatar(contentsOf: pack.write(into: folder))
            #expect(avatar.family == .syncTalk2D)
            #expect(try avatar.model(.generator).family == .syncTalk2D)
        }
    }

    @Test("An unknown family is refused, and the error names those that are known")
    func unknown() async throws {
        try await withTemporaryFolder { folder in
            let url = try TestPack(manifest: ["family": "holograms"]).write(into: folder)
            let error = #expect(throws: VisemeError.self) { try Avatar(contentsOf: url) }
            #expect(error?.code == .unsupported && error?.hint != nil)
            for word in ["avatar.json", "\"holograms\""] + GeneratorFamily.known.map(\.name) {
                #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
            }
        }
    }

    @Test("A pack of the usual family is written without the key")
    func written() async throws {
        try await withTemporaryFolder { folder in
            let manifest = try Avatar(contentsOf: TestPack().write(into: folder)).manifest
            try manifest.write(into: folder)
            let text = try String(contentsOf: folder.appending(path: "avatar.json"), encoding: .utf8)
            #expect(!text.contains("\"family\""))
        }
    }
}
