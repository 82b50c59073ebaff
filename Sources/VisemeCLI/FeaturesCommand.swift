import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels

/// `viseme features`.
struct FeaturesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "features",
        abstract: "Write what the networks hear: mel.npy, windows.npy and features.npy.",
        discussion: """
            mel.npy is (80, T); windows.npy is (n, 80, 16), the audio encoder's input; features.npy is (n + 2, 512), the \
            audio rows with the first and the last one doubled, as a dataset's aud_ave.npy. Compare them with the \
            training's own when a mouth stays closed.
            """)

    @OptionGroup var engine: EngineOptions

    @Argument(help: "Any audio or video file, or - for a pipe.")
    var audio: String

    @Option(name: .shortAndLong, help: "The folder to write into.")
    var output: String

    @Flag(help: "Replace existing files.")
    var force = false

    func run() async throws {
        let media = FFmpeg.viseme
        let folder = URL(filePath: output)
        let names = ["mel.npy", "windows.npy", "features.npy"]
        for name in names where !force && FileManager.default.fileExists(atPath: folder.appending(path: name).path) {
            throw VisemeError(
                .cannotCreate, "'\(folder.appending(path: name).path)' exists.",
                hint: "Choose another folder, or add --force.")
        }
        let input = try await AudioInput(audio, media: media)
        defer { input.remove() }
        let avatar = try engine.openAvatar()
        let backend = try engine.makeBackend()
        let (model, _) = try await WeightJudge().admit(
            try avatar.model(.audioEncoder), allowUntrained: engine.allowUntrained)
        let encoder = try await backend.audioEncoder(model, threads: engine.parallelism.width)
        let features = try await SpeechFeatures(
            of: try await media.speech(at: input.url), family: avatar.family, encoder: encoder)
        let (family, rowWidth) = (avatar.family, avatar.family.featureWindow.rowWidth)

        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let arrays = [
                NumpyFile(features.mel, shape: [family.mel.bandCount, features.mel.count / family.mel.bandCount]),
                NumpyFile(
                    features.melWindows,
                    shape: [features.melWindowCount, family.mel.bandCount, family.melWindow.columns]),
                NumpyFile(features.rows, shape: [features.rows.count / rowWidth, rowWidth]),
            ]
            for (name, array) in zip(names, arrays) {
                try array.data.write(to: folder.appending(path: name), options: .atomic)
            }
        } catch {
            throw VisemeError(.cannotCreate, "'\(folder.path)' cannot be written.", cause: error)
        }
        try Terminal.result(folder.path)
    }
}

/// A NumPy file, version 1.0, of little-endian Float32 in C order.
struct NumpyFile {
    let data: Data

    init(_ values: [Float], shape: [Int]) {
        precondition(values.count == shape.reduce(1, *))
        let axes = shape.map(String.init).joined(separator: ", ")
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(axes)), }"
        // Magic, version and length take 10 bytes; the whole header is a multiple of 64 and ends in a line feed.
        header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
        var data = Data([0x93] + Array("NUMPY".utf8) + [1, 0])
        withUnsafeBytes(of: UInt16(header.utf8.count).littleEndian) { data.append(contentsOf: $0) }
        data.append(contentsOf: header.utf8)
        for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) } }
        self.data = data
    }
}
