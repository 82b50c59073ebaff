import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeFaces
import VisemeModels
import VisemeONNX

/// `viseme avatar check`.
struct AvatarCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract:
            "Find out whether a pack's parts belong to one another: crop, loop, mask, and the person who is drawn.",
        discussion: """
            Everything that `viseme doctor` looks at, and the face: whether the crop follows it without trembling, whether the template \
            loops without a jerk, whether the mask holds the mouth, and whether what is drawn is this person, as sharp and in this \
            light. No clip is needed. The exit status is 0 when all is well, 1 when not.
            """)

    @Argument(help: "The pack: a folder or a name.")
    var pack = "robin"

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: ArgumentHelp("ONNX Runtime's shared library.", valueName: "path"))
    var onnxruntime: String?

    func run() async throws {
        var options = EngineOptions()
        options.avatar = pack
        let url = try options.findAvatar()
        let onnx = try ONNXBackend(libraryPath: onnxruntime)
        let (media, backend) = (FFmpeg.viseme, TranslatingBackend(splitting: onnx))
        var report = await Doctor(backend: backend, runner: onnx, media: media).examine(packAt: url)
        // What cannot be drawn has no face to look at.
        if report.isHealthy {
            let models = try await FaceModels(FaceModelFiles(), runner: onnx)
            let check = try await AvatarCheck(
                try Avatar(contentsOf: url), backend: backend, models: models, media: media)
            var progress = Progress("looking at the template", total: nil)
            try await check.run(&report) { done, _ in progress.update(done) }
            progress.end()
        }
        try report.show(json: json)
    }
}
