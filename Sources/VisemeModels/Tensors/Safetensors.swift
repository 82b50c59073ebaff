import Foundation
import Viseme

/// Files of the safetensors format: the length of a header in eight bytes, the header as JSON, the elements.
enum Safetensors {
    /// The format's own limit.
    private static let headerLimit = 100_000_000

    /// One tensor in the header.
    private struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let offsets: [Int]

        private enum CodingKeys: String, CodingKey {
            case dtype, shape
            case offsets = "data_offsets"
        }
    }

    /// Tensors by name, and the texts under `__metadata__`.
    private struct Header: Decodable {
        var entries: [(name: String, entry: Entry)] = []
        var metadata: [String: String] = [:]

        private struct Name: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Name.self)
            for key in container.allKeys {
                if key.stringValue == "__metadata__" {
                    metadata = try container.decode([String: String].self, forKey: key)
                } else {
                    entries.append((key.stringValue, try container.decode(Entry.self, forKey: key)))
                }
            }
        }
    }

    /// Reads the tensors, in the order of their elements in the file, and the metadata.
    ///
    /// The elements must follow each other without overlap or gap, as the format demands, so memory is the file's size.
    ///
    /// - Throws: `.badData` for a damaged file, `.unsupported` for element types that are not read here.
    static func read(_ data: Data, name: String) throws -> (StateDict, metadata: [String: String]) {
        let bytes = CheckpointBytes(data, name: name)
        let length = try Int(clamping: bytes.integer(UInt64.self, at: 0))
        guard length <= headerLimit else { throw bytes.damaged("its header is said to have \(length) bytes") }
        let range = try bytes.range(at: 8, count: length)
        let header: Header
        do {
            header = try JSONDecoder().decode(Header.self, from: Data(bytes.part(range)))
        } catch {
            throw VisemeError(
                .badData, "The header of '\(name)' is not that of a safetensors file.",
                hint: "Fetch the file again, or export it again.", cause: error)
        }
        var tensors: [StoredTensor] = []
        var position = 0
        let elements = bytes.count - range.upperBound
        for (key, entry) in header.entries.sorted(by: precedes) {
            let shown = PickleGraph.printable(key)
            guard let type = elementType(entry.dtype) else {
                throw bytes.unsupported(
                    "holds '\(shown)' of the type \(PickleGraph.printable(entry.dtype))",
                    hint: "Read are F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL. Convert it before saving.")
            }
            guard entry.offsets.count == 2, entry.offsets[0] == position, entry.offsets[1] >= position,
                entry.offsets[1] <= elements
            else {
                throw bytes.damaged(
                    "'\(shown)' lies at \(entry.offsets.prefix(4)), expected at \(position) of \(elements) bytes")
            }
            position = entry.offsets[1]
            let start = range.upperBound + entry.offsets[0]
            tensors.append(
                try StoredTensor(
                    name: key, shape: entry.shape, type: type,
                    bytes: Data(bytes.part(start..<range.upperBound + position))))
        }
        guard position == elements else {
            throw bytes.damaged("its tensors end at byte \(position) of \(elements)")
        }
        guard !tensors.isEmpty else {
            throw VisemeError(.badData, "'\(name)' holds no tensor.", hint: "Export the model again.")
        }
        return (try StateDict(tensors), header.metadata)
    }

    private static func precedes(_ a: (name: String, entry: Entry), _ b: (name: String, entry: Entry)) -> Bool {
        // Empty tensors share their offset with the next one: the end decides, then the name.
        let ends = [a, b].map { ($0.entry.offsets.first ?? 0, $0.entry.offsets.last ?? 0, $0.name) }
        return ends[0] < ends[1]
    }

    private static func elementType(_ name: String) -> ElementType? {
        switch name {
        case "F64": .float64
        case "F32": .float32
        case "F16": .float16
        case "BF16": .bfloat16
        case "I64": .int64
        case "I32": .int32
        case "I16": .int16
        case "I8": .int8
        case "U8": .uint8
        case "BOOL": .bool
        default: nil
        }
    }
}
