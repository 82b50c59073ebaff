import ArgumentParser
import Foundation
import Viseme
import VisemeCoreML
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// Options of every command that loads an avatar's models.
struct EngineOptions: ParsableArguments {
    /// `ExecutionProvider`'s cases are ONNX Runtime's; Core ML is a runtime of its own.
    enum Provider: String, ExpressibleByArgument, CaseIterable {
        case cpu, openvino, cuda, coreml

        /// The provider of ONNX Runtime; nil for Core ML.
        var onONNXRuntime: ExecutionProvider? {
            switch self {
            case .cpu: .cpu
            case .openvino: .openvino
            case .cuda: .cuda
            case .coreml: nil
            }
        }
    }

    @Option(
        help: "The avatar pack: a folder, or a name in avatars/, the folders of VISEME_AVATARS, or beside the program.")
    var avatar = "robin"

    @Option(
        help: "What runs the models: ONNX Runtime's cpu, openvino or cuda, or coreml. All of it, or the command fails.")
    var provider = Provider.cpu

    @Option(help: ArgumentHelp("ONNX Runtime's shared library.", valueName: "path"))
    var onnxruntime: String?

    enum Units: String, ExpressibleByArgument, CaseIterable {
        case cpu, cpuGPU = "cpu-gpu", cpuANE = "cpu-ane", all

        var coreML: ComputeUnits {
            switch self {
            case .cpu: .cpuOnly
            case .cpuGPU: .cpuAndGPU
            case .cpuANE: .cpuAndNeuralEngine
            case .all: .all
            }
        }
    }

    @Option(help: "What Core ML may use.")
    var computeUnits = Units.cpuANE

    @Option(help: "Cores to use; all by default.")
    var threads: Int?

    @Option(help: ArgumentHelp("Megabytes for what is kept of the template: 40, or 240 to serve.", valueName: "MB"))
    var memory: Int?

    @Flag(help: "For tests: run models that were never trained. Reports and outputs say so.")
    var allowUntrained = false

    func validate() throws {
        guard threads.map({ (1...1024).contains($0) }) ?? true else { throw ValidationError("--threads is 1…1024.") }
        guard memory.map({ (1...1_000_000).contains($0) }) ?? true else {
            throw ValidationError("--memory is 1…1000000 megabytes.")
        }
    }

    /// The folder of the avatar, which may be broken.
    func findAvatar() throws -> URL {
        let url = URL(filePath: avatar)
        if Avatar.isPack(at: url) { return url }
        return try openAvatar().url
    }

    func openAvatar() throws -> Avatar {
        let named = ProcessInfo.processInfo.environment["VISEME_AVATARS"] ?? ""
        let folders = ["avatars"] + named.split(separator: ":").map(String.init)
        // An installed program brings its avatars: avatars/ beside it.
        let own = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        let all = folders.map { URL(filePath: $0) } + [own?.appending(path: "avatars")].compactMap(\.self)
        return try Avatar.find(avatar, in: all)
    }

    func makeBackend() throws -> any InferenceBackend {
        guard let chosen = provider.onONNXRuntime else {
            return try CoreMLChoice.backend(units: computeUnits.coreML) { Terminal.print("note: \($0)") }
        }
        return TranslatingBackend(splitting: try ONNXBackend(libraryPath: onnxruntime, provider: chosen))
    }

    /// The avatar with its models loaded.
    ///
    /// - Parameter memory: Megabytes for what is kept of the template where nothing is said about it.
    func load(
        _ avatar: Avatar, backend: any InferenceBackend, media: FFmpeg, memory usual: Int = 40
    ) async throws -> Engine {
        let engine = try await Engine(
            avatar, backend: backend, media: media, judge: WeightJudge(), memory: (memory ?? usual) * 1_000_000,
            parallelism: parallelism, allowUntrained: allowUntrained)
        Heap.giveBackWhatIsFree()
        return engine
    }

    var parallelism: Parallelism { threads.map { Parallelism(cores: $0) } ?? Parallelism() }
}

/// Options of every command that writes a video.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Replace an existing output.")
    var force = false

    @Flag(inversion: .prefixedNo, help: "Say in the container that the video was made by a trained model.")
    var declareSynthetic = true
}

/// The audio argument: a file, or `-` for standard input, which is copied to a temporary file first.
struct AudioInput {
    let url: URL
    private let isTemporary: Bool

    init(_ argument: String, media: FFmpeg) async throws {
        if argument == "-" {
            (isTemporary, url) = (true, try await media.spool())
        } else if Self.isPipe(argument) {
            // Process substitution, /dev/stdin, a named pipe: read once, then as often as need be.
            guard let handle = FileHandle(forReadingAtPath: argument) else {
                throw VisemeError(.noInput, "The pipe '\(argument)' cannot be read")
            }
            (isTemporary, url) = (true, try await media.spool(handle))
        } else {
            (isTemporary, url) = (false, URL(filePath: argument))
        }
    }

    private static func isPipe(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return false }
        return [S_IFIFO, S_IFCHR, S_IFSOCK].contains(status.st_mode & S_IFMT)
    }

    func remove() {
        // The system clears its temporary folder anyway.
        if isTemporary { try? FileManager.default.removeItem(at: url) }
    }
}

extension FFmpeg {
    /// libav* as this program uses it.
    static let viseme = FFmpeg(software: "Viseme \(Release.version)")
}
