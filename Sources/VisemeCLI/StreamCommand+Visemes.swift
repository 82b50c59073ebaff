import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels

extension StreamCommand {
    /// Mouth shapes as JSON lines while the words arrive, each as soon as its look-ahead is heard.
    func streamVisemes(_ avatar: Avatar, _ backend: any InferenceBackend) async throws {
        let url = output == "-" ? nil : URL(filePath: output)
        try await TextOutput.write(to: url, overwrite: options.force) { write in
            let reader = try await MouthReader(
                avatar, backend: backend, judge: WeightJudge(), allowUntrained: engine.allowUntrained)
            let source = try await openSource(FFmpeg.viseme)
            var writer = VisemeWriter(.jsonl)
            for try await shape in reader.shapes(for: LiveSpeech(source: source)) {
                try write(writer.append(shape))
            }
            for warning in await source.warnings { Terminal.print("note: \(warning)") }
        }
    }
}

/// What a live source hears, without its sound.
private struct LiveSpeech: SpeechReader {
    let source: LiveSource
    var warnings: [String] { get async { await source.warnings } }

    func read() async throws -> [Float]? { try await source.read()?.samples }
}
