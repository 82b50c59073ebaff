import Foundation
import Testing
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX
import VisemeTestSupport

@testable import VisemeFaces

/// A speaking robin, drawn by the program itself, is the person of these tests.
@Suite("An avatar beside its person's clip", .serialized, .enabled(if: Repository.canRunModels))
struct ReenactmentTests {
    private static let media = FFmpeg(software: "Viseme tests")
    private static let sample = Repository.root.appending(path: "samples/hello.wav")

    private func backend() throws -> any InferenceBackend { TranslatingBackend(splitting: try Models.runner()) }

    /// Robin says the first frames of a sample.
    private func clip(in folder: URL, frames: Int) async throws -> URL {
        let engine = try await Engine(
            try Avatar(contentsOf: Repository.robin), backend: try backend(), media: Self.media, judge: WeightJudge())
        var render = Render(engine: engine, media: Self.media, audio: Self.sample)
        render.range = 0..<frames
        let url = folder.appending(path: "robin.mp4")
        _ = try await render.run(to: url)
        return url
    }

    private func reenactment() async throws -> Reenactment {
        try await Reenactment(
            try Avatar(contentsOf: Repository.robin), backend: try backend(), judge: WeightJudge(),
            models: try await Models.load(), media: Self.media)
    }

    @Test("the clip that an avatar drew is what it draws: at lag 0, as sharp, without a seam, and not with wrong sound")
    func itself() async throws {
        try await withTemporaryFolder { folder in
            let clip = try await clip(in: folder, frames: 80)
            let reenactment = try await reenactment()
            let report = try await reenactment.run(clip: clip)
            try checkItself(report)
            let page = try ReportPage(report) { try Self.media.png($0) }.html()
            checkPage(page)
            let again = try JSONDecoder().decode(AvatarReport.self, from: JSONEncoder().encode(report))
            #expect(again.figures == report.figures)
            #expect(again.frames.count == report.subject.measured)

            // Sound that is late by three frames makes a mouth that is late by three.
            let late = try await reenactment.run(clip: clip, seconds: 0.4..<2.4, soundDelay: 0.12)
            #expect(late.frames.allSatisfy { (10..<60).contains($0.frame) })
            #expect(abs(late.figures.lag.best + 3) < 0.5, "\(late.figures.lag)")
            #expect(late.figures.lag.high < -2)
        }
    }

    private func checkItself(_ report: AvatarReport) throws {
        let figures = report.figures
        #expect(report.subject.scale == 1)
        #expect(report.subject.measured > 50)
        #expect(try #require(figures.openingR) > 0.95)
        #expect(figures.lag.frames == 0)
        #expect(abs(figures.lag.best) < 0.3)
        #expect(figures.lag.low <= 0.3 && figures.lag.high >= -0.3)
        #expect(try #require(figures.wrongSoundR) < 0.5)
        #expect((0.85...1.15).contains(figures.openingRatio))
        #expect((0.85...1.15).contains(figures.textureRatio))
        #expect((0.9...1.1).contains(figures.stepRatio))
        // The reference is another frame, moved: robin was trained on the same one.
        #expect(figures.psnr > 25)
        #expect(figures.psnr > figures.copyPSNR + 2)
        #expect(figures.ssim > 0.9)
        #expect(figures.closures > 3 && figures.closuresFound * 5 >= figures.closures * 4)
        #expect(figures.silence.closed > 0.95)
        #expect(report.pictures.count == 4 && report.pictures.allSatisfy { $0.count == 8 })
    }

    private func checkPage(_ page: String) {
        #expect(page.contains("<svg"))
        #expect(page.contains("data:image/png;base64,"))
        #expect(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"))
        #expect(!page.replacing(/base64,[^"]*/, with: "").contains("nan"))
    }

    @Test("a clip without a face, without sound or of silence is an error in words")
    func refusals() async throws {
        try await withTemporaryFolder { folder in
            let reenactment = try await reenactment()
            func clip(_ name: String, sound: URL?, frames: Int, picture: Image) async throws -> URL {
                let url = folder.appending(path: name)
                let writer = try await Self.media.writer(
                    VideoRequest(
                        url: url, width: picture.width, height: picture.height,
                        sound: sound.map { .init(url: $0, range: 0..<Double(frames) / 25) }))
                for _ in 0..<frames { try await writer.append(picture) }
                _ = try await writer.finish()
                return url
            }
            let grey = Image(width: 320, height: 240, grey: 90)
            let faceless = try await clip("grey.mp4", sound: Self.sample, frames: 30, picture: grey)
            let noFace = try await #require(throws: VisemeError.self) { _ = try await reenactment.run(clip: faceless) }
            #expect(noFace.code == .badData && noFace.message.contains("A face was found in 0 of the 30 frames"))
            let mute = try await clip("mute.mp4", sound: nil, frames: 30, picture: grey)
            let noSound = try await #require(throws: VisemeError.self) { _ = try await reenactment.run(clip: mute) }
            #expect(noSound.message.contains("no sound"))
            let still = try await GoldenFaces.picture(0)
            let silence = folder.appending(path: "silence.wav")
            try Waves.wave([Int16](repeating: 0, count: 32_000)).write(to: silence)
            let quiet = try await clip("quiet.mp4", sound: silence, frames: 40, picture: still)
            let noSpeech = try await #require(throws: VisemeError.self) { _ = try await reenactment.run(clip: quiet) }
            #expect(noSpeech.message.contains("somebody speaks"))
        }
    }
}
