import Foundation
import Testing
import Viseme
@testable import VisemeModels

/// The checkpoints that `Tests/Fixtures/checkpoints.py` makes, and what is to be read from each of them.
enum CheckpointGolden {
    /// A tensor as torch or NumPy has it.
    struct Tensor: Decodable, Equatable, Sendable {
        let name: String
        let shape: [Int]
        let type: ElementType
        let sha256: String
    }

    /// Tensors, or the code of an error and words in its message.
    struct Expectation: Decodable, Sendable {
        let tensors: [Tensor]?
        let remarks: Int?
        let anyOrder: Bool?
        let code: String?
        let words: [String]?
    }

    static let expectations: [String: Expectation] = {
        // Without the file every list of cases is empty, which the tests of the lists report.
        guard let json = try? data("expected.json") else { return [:] }
        return (try? JSONDecoder().decode([String: Expectation].self, from: json)) ?? [:]
    }()

    static func data(_ file: String) throws -> Data {
        try Data(contentsOf: Bundle.module.bundleURL.appending(path: "Golden/checkpoints/\(file)"))
    }

    /// The files with one of these extensions that are to be read, or refused.
    static func files(_ extensions: Set<String>, valid: Bool) -> [String] {
        expectations.filter { file, expected in
            (expected.code == nil) == valid && extensions.contains(URL(filePath: file).pathExtension)
        }.keys.sorted()
    }

    static let torchExtensions: Set<String> = ["pth", "tar", "pt", "pkl"]

    static func described(_ tensors: [StoredTensor]) -> [Tensor] {
        tensors.map { Tensor(name: $0.name, shape: $0.shape, type: $0.type, sha256: ModelFile.sha256(of: $0.bytes)) }
    }

    /// Checks that reading throws what `expected.json` says.
    static func expectRefusal(_ file: String, _ read: (Data) throws -> Void) throws {
        let expected = try #require(expectations[file])
        let data = try data(file)
        let error = try #require(throws: VisemeError.self) { try read(data) }
        #expect(error.code.rawValue == expected.code)
        for word in expected.words ?? [] { #expect(error.message.contains(word), "\(error.message)") }
        #expect(error.message.contains(file))
        #expect(error.hint != nil)
    }
}

/// Damages files, the same way each time for one seed.
struct Damage {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func below(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(max(bound, 1)))
    }

    /// One to four bytes changed, inserted, removed or copied from elsewhere in the file.
    mutating func damaged(_ valid: [UInt8]) -> Data {
        var bytes = valid
        let telling: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, 0x28, 0x2E, 0x52, 0x68, 0x71, 0x74, 0x75]
        for _ in 0...below(4) {
            let at = below(bytes.count)
            switch below(6) {
            case 0: bytes[at] = UInt8(below(256))
            case 1: bytes[at] ^= 1 << UInt8(below(8))
            case 2: bytes[at] = telling[below(telling.count)]
            case 3: bytes.insert(telling[below(telling.count)], at: at)
            case 4: bytes.remove(at: at)
            default:
                let from = below(bytes.count)
                let count = min(below(16), bytes.count - max(at, from))
                bytes.replaceSubrange(at..<at + count, with: Array(bytes[from..<from + count]))
            }
            if bytes.isEmpty { return Data() }
        }
        return Data(bytes)
    }
}
