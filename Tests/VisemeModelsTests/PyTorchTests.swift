import Foundation
import Testing
import Viseme
@testable import VisemeModels

@Suite("PyTorch checkpoints")
struct PyTorchTests {
    static let valid = CheckpointGolden.files(CheckpointGolden.torchExtensions, valid: true)
    static let refused = CheckpointGolden.files(CheckpointGolden.torchExtensions, valid: false)

    @Test("The golden files are there")
    func goldens() {
        #expect(Self.valid.count >= 25)
        #expect(Self.refused.count >= 20)
    }

    @Test("Every tensor is torch's, bit by bit", arguments: valid)
    func equal(file: String) throws {
        let expected = try #require(CheckpointGolden.expectations[file])
        let state = try PyTorchCheckpoint.read(CheckpointGolden.data(file), name: file)
        var read = CheckpointGolden.described(state.tensors)
        var tensors = try #require(expected.tensors)
        if expected.anyOrder == true {  // TorchScript keeps attributes in an order of its own
            read.sort { $0.name < $1.name }
            tensors.sort { $0.name < $1.name }
        }
        #expect(read == tensors)
        #expect(state.remarks.count == expected.remarks, "\(state.remarks)")
    }

    @Test("What cannot be read is refused by name", arguments: refused)
    func refusals(file: String) throws {
        try CheckpointGolden.expectRefusal(file) { _ = try PyTorchCheckpoint.read($0, name: file) }
    }

    @Test("Data that begins in the middle of other data is read")
    func slices() throws {
        for file in ["tensor.pth", "types-legacy.pth"] {
            let data = try CheckpointGolden.data(file)
            let slice = (Data([1, 2, 3]) + data).dropFirst(3)
            #expect(try PyTorchCheckpoint.read(slice, name: file) == PyTorchCheckpoint.read(data, name: file))
        }
    }

    @Test("A tensor is found by its name")
    func names() throws {
        let state = try PyTorchCheckpoint.read(CheckpointGolden.data("module-zip.pth"), name: "net")
        let counter = try #require(state["first.bn.num_batches_tracked"])
        #expect(counter.type == .int64)
        #expect(counter.shape == [])
        #expect(counter.floats() == [7])
        #expect(state["first.scratch"] == nil, "a buffer that is not saved")
        #expect(state["blocks.2.bn.weight"]?.bytes == state["first.bn.weight"]?.bytes)
        #expect(state.names.first == "first.gain")
    }

    @Test("The check sums of a file without any are not missed, wrong ones are")
    func sums() throws {
        #expect(throws: Never.self) {
            try PyTorchCheckpoint.read(CheckpointGolden.data("without-sums.pth"), name: "x")
        }
        #expect(CRC32.sum(Data("123456789".utf8)) == 0xCBF4_3926)
        let flipped = CheckpointBytes(try CheckpointGolden.data("flipped-bit.pth"), name: "x")
        #expect(throws: Never.self) { try PyTorchCheckpoint.read(flipped, checkingSums: false) }
    }

    @Test("Views are gathered as the shape says")
    func views() throws {
        let bytes = Data((0..<12).map { UInt8($0) })
        func gather(_ offset: Int, _ shape: [Int], _ strides: [Int]) -> [UInt8]? {
            let view = StridedView(offset: offset, shape: shape, strides: strides)
            guard let extent = view.extent, extent <= 12 else { return nil }
            return [UInt8](view.gather(from: bytes, itemBytes: 1))
        }
        #expect(gather(0, [3, 4], [4, 1]) == Array(0..<12))
        #expect(gather(0, [4, 3], [1, 4]) == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
        #expect(gather(1, [2, 2, 2], [6, 1, 2]) == [1, 3, 2, 4, 7, 9, 8, 10])
        #expect(gather(11, [], []) == [11])
        #expect(gather(5, [3], [0]) == [5, 5, 5])
        #expect(gather(2, [1, 2], [.max, 1]) == [2, 3])
        #expect(gather(2, [1, 2, 1], [.max, 2, .min]) == [2, 4])
        #expect(gather(99, [0, 5], [5, 1]) == [])
        #expect(gather(0, [2], [12]) == nil)
        #expect(gather(-1, [2], [1]) == nil)
        #expect(gather(0, [2], [-1]) == nil)
        #expect(gather(0, [.max, 2], [1, 1]) == nil)
        #expect(gather(1, [2], [.max]) == nil)
    }

    @Test("A prefix before the names of an unknown network is named", arguments: ["model.", "generator."])
    func foreignPrefix(_ prefix: String) throws {
        let state = try StateDict(["a", "b"].map { StoredTensor(name: prefix + $0, shape: [], floats: [1]) })
        let error = OpenedModel.unknown(state)
        #expect(
            error.message.contains("2 names begin with '\(prefix)'") && error.hint?.contains("state_dict()") == true)
        let plain = try StateDict([StoredTensor(name: "a", shape: [], floats: [1])])
        #expect(OpenedModel.unknown(plain).hint == nil)
    }

    @Test("A prefix is stripped only when every name has it")
    func prefixes() throws {
        func stripped(_ names: [String]) throws -> [String] {
            try StateDict(names.map { StoredTensor(name: $0, shape: [], floats: [1]) }).strippingWrapperPrefixes().names
        }
        #expect(try stripped(["module.a", "module.b"]) == ["a", "b"])
        #expect(try stripped(["module.module.a"]) == ["a"])
        #expect(try stripped(["_orig_mod.module.a"]) == ["a"])
        #expect(try stripped(["module.a", "b"]) == ["module.a", "b"])
        #expect(try stripped(["module."]) == ["module."])
        #expect(throws: VisemeError.self) { try stripped(["a", "a"]) }
    }
}
