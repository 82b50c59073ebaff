import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Models that were never trained")
struct UntrainedModelsTests {
    private let fresh = TrainingVerdict(.neverTrained, evidence: ["12 of 12 layers have first values"])

    @Test("An engine refuses them by name", arguments: ModelRole.drawing)
    func refuses(_ role: ModelRole) async throws {
        try await withTemporaryFolder { folder in
            for kind in [TrainingVerdict.Kind.neverTrained, .partly] {
                let judge = FakeJudge(verdicts: [role: TrainingVerdict(kind, evidence: ["why"])])
                let error = await #expect(throws: VisemeError.self) {
                    _ = try await fakeEngine(in: folder, judge: judge)
                }
                #expect(error?.code == .badData)
                #expect(error?.message.contains(kind.rawValue) == true && error?.message.contains("why") == true)
                #expect(error?.hint?.contains("viseme convert") == true)
            }
        }
    }

    @Test("Nothing else is refused", arguments: [TrainingVerdict.Kind.trained, .initialShape, .unknown])
    func accepts(_ kind: TrainingVerdict.Kind) async throws {
        try await withTemporaryFolder { folder in
            let judge = FakeJudge(verdicts: [.generator: TrainingVerdict(kind)])
            let engine = try await fakeEngine(in: folder, judge: judge)
            #expect(engine.verdicts[.generator]?.kind == kind && engine.untrainedNotice == nil)
        }
    }

    @Test("Where they are allowed the report and the request for the video say so")
    func allowed() async throws {
        try await withTemporaryFolder { folder in
            let engine = try await fakeEngine(
                in: folder, judge: FakeJudge(verdicts: [.audioEncoder: fresh]), allowUntrained: true)
            let notice = try #require(engine.untrainedNotice)
            #expect(notice.contains("NEVER TRAINED") && !notice.contains("generator"))
            let media = FakeMedia(speech: FakeSpeech(noise(16000, seed: 3)))
            let report = try await Render(engine: engine, media: media, audio: URL(filePath: "speech")).run(
                to: folder.appending(path: "out.mp4"))
            #expect(report.warnings.contains(notice))
            #expect(report.models.first { $0.role == .audioEncoder }?.verdict == .neverTrained)
        }
    }

    @Test("A model that cannot be judged is refused, unless untrained ones are allowed")
    func cannotBeJudged() async throws {
        struct Blind: ModelJudge {
            func verdict(on model: ModelFile) async throws -> TrainingVerdict {
                throw VisemeError(.unsupported, "compiled")
            }
        }
        try await withTemporaryFolder { folder in
            let model = try Avatar(contentsOf: TestPack().write(into: folder, name: "a.avatar")).model(.generator)
            await #expect(throws: VisemeError.self) { _ = try await Blind().admit(model) }
            #expect(try await Blind().admit(model, allowUntrained: true).verdict.kind == .unknown)
        }
    }
}
