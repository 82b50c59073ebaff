import Foundation
import Testing
import Viseme
@testable import VisemeModels

@Suite("NumPy arrays")
struct NumPyTests {
    static let valid = CheckpointGolden.files(["npy"], valid: true)
    static let refused = CheckpointGolden.files(["npy"], valid: false)

    @Test("Every array is NumPy's, bit by bit", arguments: valid)
    func equal(file: String) throws {
        let array = try NumPyArray.read(CheckpointGolden.data(file), name: file)
        #expect(
            try CheckpointGolden.described([array.tensor(named: "array")])
                == CheckpointGolden.expectations[file]?.tensors)
    }

    @Test("What is read can be written as NumPy writes it", arguments: valid)
    func written(file: String) throws {
        let data = try CheckpointGolden.data(file)
        let array = try NumPyArray.read(data, name: file)
        #expect(try NumPyArray.read(array.data(), name: file) == array)
        // The other forms become version 1 in C order.
        if !file.hasPrefix("fortran"), !file.hasPrefix("version") { #expect(array.data() == data) }
    }

    @Test("Other element types are refused by name", arguments: refused)
    func refusals(file: String) throws {
        try CheckpointGolden.expectRefusal(file) { _ = try NumPyArray.read($0, name: file) }
    }

    @Test("The golden files are there")
    func goldens() {
        #expect(Self.valid.count >= 15)
        #expect(Self.refused.count >= 5)
    }

    @Test("Numbers come back")
    func numbers() throws {
        let array = NumPyArray(shape: [2, 3], floats: [1, -2, 3.5, .infinity, 0, .leastNonzeroMagnitude])
        let back = try NumPyArray.read(array.data(), name: "x")
        #expect(back == array)
        #expect(try back.floats() == [1, -2, 3.5, .infinity, 0, .leastNonzeroMagnitude])
        #expect(back.count == 6)
        #expect(array.data().count == 128 + 24)
    }

    @Test("bfloat16 is not written: NumPy does not have it")
    func bfloat16() throws {
        let tensor = try StoredTensor(name: "w", shape: [1], type: .bfloat16, bytes: Data([0, 1]))
        let error = try #require(throws: VisemeError.self) { try NumPyArray(tensor) }
        #expect(error.code == .unsupported)
    }

    @Test(
        "Headers that are not an array's are refused",
        arguments: [
            "", "{", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
            "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
            "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 9223372036854775807, 9223372036854775807), }",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 'x', }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } more",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (" + String(repeating: "1,", count: 65) + "), }",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        ])
    func headers(header: String) {
        let length = withUnsafeBytes(of: UInt16(header.utf8.count).littleEndian) { Data($0) }
        let data = Data([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]) + length + Data(header.utf8) + Data(count: 4)
        #expect(throws: VisemeError.self) { try NumPyArray.read(data, name: "x") }
    }
}
