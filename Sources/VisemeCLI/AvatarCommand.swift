import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// `viseme avatar`.
struct AvatarCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "avatar", abstract: "Look at avatar packs, or make one from what you have.",
        subcommands: [AvatarInfoCommand.self, AvatarCheckCommand.self, AvatarImportCommand.self])
}

/// `viseme avatar info`.
struct AvatarInfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Check a pack's files and print what it is.")

    @Argument(help: "The pack: a folder or a name.")
    var pack = "robin"

    @Flag(help: "Print the manifest as JSON.")
    var json = false

    func run() async throws {
        var options = EngineOptions()
        options.avatar = pack
        let avatar = try options.openAvatar()
        try avatar.verify()
        try await avatar.verifyTemplate(media: FFmpeg.viseme)
        let manifest = avatar.manifest
        if json { return try Terminal.printJSON(manifest) }
        try Terminal.result("\(manifest.name): \(avatar.url.path)")
        try Terminal.result(
            "  \(manifest.frames) frames, \(manifest.width)×\(manifest.height), \(manifest.fps) fps, \(manifest.templateOrder.rawValue)"
        )
        let sizes = avatar.squares.map(\.width)
        if let mask = avatar.mask {
            try Terminal.result(
                "  crops of \(mask.size) pixels, copied; drawn inside \(mask.bounds.corners), mask '\(manifest.mask?.file ?? "")' verified"
            )
        } else {
            try Terminal.result(
                "  crop squares \(sizes.min() ?? 0)…\(sizes.max() ?? 0) pixels, roi \(manifest.geometry.roi.width), mask \(manifest.geometry.mask ?? [])"
            )
        }
        try Terminal.result(
            "  feature window \(manifest.featureWindow.rawValue), colour order \(manifest.colourOrder.rawValue)")
        try Terminal.result("  licence: \(manifest.licence)")
        try Terminal.result("  consent: \(manifest.consent)")
        if manifest.models.isEmpty { try Terminal.result("  no models: it cannot be rendered yet") }
        for model in manifest.models {
            try Terminal.result("  \(model.role.rawValue): \(model.file), SHA-256 \(model.sha256.prefix(12))… verified")
            for tensor in model.inputs { try Terminal.result("    in  \(tensor.name) \(tensor.shapeText)") }
            for tensor in model.outputs { try Terminal.result("    out \(tensor.name) \(tensor.shapeText)") }
        }
        if let data = manifest.provenance?.trainingData { try Terminal.result("  trained on: \(data)") }
    }
}

/// `viseme avatar import`.
struct AvatarImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a pack from a SyncTalk_2D dataset or a flattened ONNX package.",
        discussion: """
            A dataset has full_body_img/ (from 0.jpg) and landmarks/; a flattened package has cache/crop_rectangles.json and \
            images from 1.jpg. A package's own models are taken when their hashes are right; a dataset's .pth checkpoint \
            must be converted to ONNX first and given by path.
            """)

    @Argument(help: "The folder to import.")
    var source: String

    @Argument(help: "The pack to write, such as avatars/ada.avatar.")
    var target: String

    @Option(help: ArgumentHelp("The audio encoder.", valueName: "FILE.onnx"))
    var audioEncoder: String?

    @Option(help: ArgumentHelp("The generator.", valueName: "FILE.onnx"))
    var generator: String?

    enum Window: String, ExpressibleByArgument, CaseIterable {
        case rows16, tile

        var featureWindow: FeatureWindow.Choice { self == .tile ? .tile : .rows16 }
    }

    @Option(help: "How feature rows are chosen: rows16 as in training; tile as some runtime ports did.")
    var featureWindow = Window.rows16

    @Option(help: "The licence of the images and models.")
    var licence = "unknown"

    @Option(help: "Whose likeness this is, and that they agreed.")
    var consent = "unknown"

    @Option(help: ArgumentHelp("ONNX Runtime's shared library.", valueName: "path"))
    var onnxruntime: String?

    @Flag(help: "Replace an existing pack.")
    var force = false

    func run() async throws {
        let out = URL(filePath: target)
        let library = onnxruntime
        var importer = AvatarImporter(
            name: out.deletingPathExtension().lastPathComponent, media: FFmpeg.viseme,
            read: { role, url in
                let contents = try ONNXReader.selfContained(at: url)
                return (try ONNXBackend(libraryPath: library).describe(role, contents, from: url), contents)
            })
        for (role, path) in [(ModelRole.audioEncoder, audioEncoder), (.generator, generator)] {
            if let path { importer.models[role] = URL(filePath: path) }
        }
        importer.featureWindow = featureWindow.featureWindow
        importer.licence = licence
        importer.consent = consent
        try await importer.run(from: URL(filePath: source), to: out, overwrite: force)
        try Terminal.result(target)
    }
}
