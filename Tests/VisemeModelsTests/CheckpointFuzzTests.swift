import Foundation
import Testing
import Viseme
@testable import VisemeModels

@Suite("Damaged checkpoints")
struct CheckpointFuzzTests {
    /// A parser, a valid file for it, and how many damaged ones it gets.
    enum Subject: String, CaseIterable, Sendable {
        case archive = "tensor.pth"
        case archiveWithoutSums = "types-zip.pth"
        case oldForm = "types-legacy.pth"
        case views = "views-legacy.pth"
        case network = "module-protocol-4.pth"
        case safetensors = "types.safetensors"
        case numPy = "fortran.npy"

        /// Ten thousand for each format; two larger files get fewer.
        var rounds: Int { self == .network || self == .views ? 1000 : 10_000 }

        func read(_ data: Data) throws -> [StoredTensor] {
            switch self {
            case .archive: try PyTorchCheckpoint.read(data, name: "x").tensors
            case .archiveWithoutSums, .oldForm, .views, .network:
                try PyTorchCheckpoint.read(CheckpointBytes(data, name: "x"), checkingSums: false).tensors
            case .safetensors: try Safetensors.read(data, name: "x").0.tensors
            case .numPy: [try NumPyArray.read(data, name: "x").tensor(named: "x")]
            }
        }
    }

    @Test("Every truncation is an error of ours", arguments: Subject.allCases.filter { $0 != .network })
    func truncations(_ subject: Subject) throws {
        let data = try CheckpointGolden.data(subject.rawValue)
        for length in 0..<data.count {
            do {
                _ = try subject.read(data.prefix(length))
                Issue.record("\(length) of \(data.count) bytes were read")
            } catch {
                if !(error is VisemeError) { Issue.record("\(length) bytes: \(error)") }
            }
        }
    }

    @Test("Damaged files give tensors or an error of ours, seed 29", arguments: Subject.allCases)
    func damages(_ subject: Subject) throws {
        let valid = try [UInt8](CheckpointGolden.data(subject.rawValue))
        var damage = Damage(seed: 29)
        var (read, refused) = (0, 0)
        for round in 0..<subject.rounds {
            let data = damage.damaged(valid)
            do {
                let tensors = try subject.read(data)
                let total = tensors.reduce(0) { $0 + $1.bytes.count }
                if total > 4 * data.count + 65_536 { Issue.record("round \(round): \(total) bytes") }
                read += 1
            } catch {
                if !(error is VisemeError) { Issue.record("round \(round): \(error)") }
                refused += 1
            }
        }
        // Both must happen: otherwise the damage is too little, or too much to get past the first check.
        #expect(read > 0)
        #expect(refused > subject.rounds / 20)
    }
}
