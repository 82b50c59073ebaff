import CoreML
import Foundation
import Viseme

/// Two packages on disk with what a manifest would say of them, and models that are closures.
struct Pack {
    let encoder: ModelFile
    private let folder: URL
    private var generators: URL { folder.appending(path: "generator.mlpackage") }

    init(at folder: URL) throws {
        self.folder = folder
        for name in ["encoder.mlpackage", "generator.mlpackage", "articulator.mlpackage"] {
            let data = folder.appending(path: "\(name)/Data")
            try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
            try Data(name.utf8).write(to: data.appending(path: "model.mlmodel"))
        }
        let url = folder.appending(path: "encoder.mlpackage")
        encoder = ModelFile(
            ModelDescription(
                role: .audioEncoder, file: "encoder.mlpackage", sha256: try ModelFile.sha256(at: url),
                inputs: [
                    TensorDescription(name: "mel_spectrogram", shape: [.batch, .fixed(1), .fixed(80), .fixed(16)])
                ],
                outputs: [TensorDescription(name: "var_242", shape: [.batch, .fixed(512)])]), at: url)
    }

    func generator(_ side: Int) throws -> ModelFile {
        func tensor(_ name: String, _ shape: [Int]) -> TensorDescription {
            TensorDescription(name: name, shape: [.batch] + shape.map { .fixed($0) })
        }
        return ModelFile(
            ModelDescription(
                role: .generator, file: "generator.mlpackage", sha256: try ModelFile.sha256(at: generators),
                inputs: [tensor("visual_input", [6, side, side]), tensor("audio_input", [32, 16, 16])],
                outputs: [tensor("var_1677", [3, side, side])]), at: generators)
    }

    /// A model of the compact family, by its manifest.
    func compact(_ role: ModelRole, _ inputs: [(String, [Int])], _ output: (String, [Int])) throws -> ModelFile {
        let names: [ModelRole: String] = [
            .audioEncoder: "encoder", .generator: "generator", .articulator: "articulator",
        ]
        let url = folder.appending(path: "\(names[role] ?? "").mlpackage")
        func tensor(_ name: String, _ shape: [Int]) -> TensorDescription {
            TensorDescription(name: name, shape: [.batch] + shape.map { .fixed($0) })
        }
        return ModelFile(
            ModelDescription(
                role: role, file: url.lastPathComponent, sha256: try ModelFile.sha256(at: url),
                inputs: inputs.map(tensor), outputs: [tensor(output.0, output.1)]), at: url, family: .compact)
    }

    /// A network that gives the first values of its first input, plus the last value of the last one; the output's rows are padded.
    static func echo(
        _ inputs: [(String, [Int])], _ output: (String, [Int]), _ type: MLMultiArrayDataType, _ padding: Int
    ) -> StandIn.Model {
        let shape = [1] + output.1
        return StandIn.Model(
            inputs: inputs.map { StandIn.Tensor($0.0, [1] + $0.1, type) },
            outputs: [StandIn.Tensor(output.0, shape, type)]
        ) { input in
            let last = try inputs.count > 1 ? plain(input, inputs[inputs.count - 1].0).last ?? .nan : 0
            let count = output.1.reduce(1, *)
            let values = try plain(input, inputs[0].0).prefix(count).map { $0 + last }
            let stride = (output.1.last ?? 1) + padding
            var strides = [Int](repeating: 1, count: shape.count)
            for axis in shape.indices.dropLast().reversed() {
                strides[axis] = axis == shape.count - 2 ? stride : strides[axis + 1] * shape[axis + 1]
            }
            let array = MLMultiArray(shape: shape, dataType: type, strides: strides)
            fill(array, values, rows: count / (output.1.last ?? 1), stride: stride)
            return [output.0: array]
        }
    }

    /// The first 512 values of a window as its row; the output is padded by `padding` elements.
    static func encoder(_ type: MLMultiArrayDataType, _ shape: [Int], _ padding: Int) -> StandIn.Model {
        StandIn.Model(
            inputs: [StandIn.Tensor("mel_spectrogram", [1, 1, 80, 16], type)],
            outputs: [StandIn.Tensor("var_242", shape, type)]
        ) { input in
            let values = try plain(input, "mel_spectrogram")
            let output = MLMultiArray(shape: [1, 512], dataType: type, strides: [512 + padding, 1])
            fill(output, Array(values.prefix(512)), rows: 1, stride: 512 + padding)
            return ["var_242": output]
        }
    }

    /// The first three planes plus the audio's last value; every row of the output is padded by `padding` elements.
    static func generator(_ side: Int, _ type: MLMultiArrayDataType, _ padding: Int) -> StandIn.Model {
        StandIn.Model(
            inputs: [
                StandIn.Tensor("visual_input", [1, 6, side, side], type),
                StandIn.Tensor("audio_input", [1, 32, 16, 16], type),
            ], outputs: [StandIn.Tensor("var_1677", [1, 3, side, side], type)]
        ) { input in
            let loudness = try plain(input, "audio_input").last ?? .nan
            let image = try plain(input, "visual_input")
            let width = side + padding
            let output = MLMultiArray(
                shape: [1, 3, side, side], dataType: type, strides: [3 * side * width, side * width, width, 1])
            fill(output, image.prefix(3 * side * side).map { $0 + loudness }, rows: 3 * side, stride: width)
            return ["var_1677": output]
        }
    }

    /// An answer of one value everywhere.
    static func answer(_ shape: [Int], _ value: Float, _ type: MLMultiArrayDataType = .float32) -> () -> MLMultiArray {
        {
            let output = MLMultiArray(shape: shape, dataType: type, strides: [shape[1], 1])
            if type == .float32 { fill(output, [Float](repeating: value, count: shape[1]), rows: 1, stride: shape[1]) }
            return output
        }
    }

    /// A contiguous input's values, by the plain definition.
    private static func plain(_ input: any MLFeatureProvider, _ name: String) throws -> [Float] {
        guard let array = input.featureValue(for: name)?.multiArrayValue else { throw CocoaError(.keyValueValidation) }
        return array.withUnsafeBytes { bytes in
            array.dataType == .float32
                ? (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
                : (0..<bytes.count / 2).map { Float(bytes.loadUnaligned(fromByteOffset: $0 * 2, as: Float16.self)) }
        }
    }

    /// Writes rows that lie `stride` elements apart.
    private static func fill(_ array: MLMultiArray, _ values: [Float], rows: Int, stride: Int) {
        let width = values.count / rows
        let isHalf = array.dataType == .float16
        array.withUnsafeMutableBytes { bytes, _ in
            for (index, value) in values.enumerated() {
                let offset = index / width * stride + index % width
                if isHalf {
                    bytes.storeBytes(of: Float16(value), toByteOffset: offset * 2, as: Float16.self)
                } else {
                    bytes.storeBytes(of: value, toByteOffset: offset * 4, as: Float.self)
                }
            }
        }
    }
}
