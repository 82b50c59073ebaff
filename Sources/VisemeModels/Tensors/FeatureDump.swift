public import Foundation
import Viseme

/// An array in a file: `.npy`, or raw little-endian Float32 without a shape.
public struct FeatureDump: Sendable {
    /// Lengths of the axes; of a raw file, the number of elements.
    public let shape: [Int]
    /// The elements, row-major.
    public let values: [Float]

    /// Reads an array.
    ///
    /// - Throws: `.noInput` when there is none, `.badData` when it is damaged.
    public init(at url: URL) throws {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(.noInput, "The array '\(url.path)' cannot be read.", cause: error)
        }
        if url.pathExtension == "npy" {
            let array = try NumPyArray.read(data, name: url.lastPathComponent)
            shape = array.shape
            values = try array.floats()
            return
        }
        guard data.count % 4 == 0 else {
            throw VisemeError(
                .badData,
                "'\(url.lastPathComponent)' has \(data.count) bytes, which is not a multiple of 4: these are not float32 values."
            )
        }
        let tensor = try StoredTensor(name: url.lastPathComponent, shape: [data.count / 4], type: .float32, bytes: data)
        shape = tensor.shape
        values = tensor.floats()
    }
}
