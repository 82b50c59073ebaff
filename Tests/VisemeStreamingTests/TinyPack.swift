import Foundation
import Testing
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX
import VisemeTestSupport

extension TinyPack {
    /// An engine of the pack `NAME.avatar`.
    static func engine(_ name: String, in folder: URL = folder) async throws -> Engine {
        let library: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try await Engine(
            Avatar(contentsOf: folder.appending(path: "\(name).avatar")),
            backend: TranslatingBackend(splitting: ONNXBackend(libraryPath: library)), media: FFmpeg(),
            judge: WeightJudge())
    }
}
