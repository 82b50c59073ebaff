import Foundation
import Testing
import Viseme
@testable import VisemeModels

@Suite("Safetensors")
struct SafetensorsTests {
    private func file(_ header: String, bytes: Int = 0) -> Data {
        let text = Data(header.utf8)
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) } + text + Data(count: bytes)
    }

    @Test("Every tensor is torch's, bit by bit, and the metadata is read")
    func equal() throws {
        let expected = try #require(CheckpointGolden.expectations["types.safetensors"]?.tensors)
        let (state, metadata) = try Safetensors.read(CheckpointGolden.data("types.safetensors"), name: "types")
        // The scalar and the empty tensor share an offset with their neighbours: names decide there.
        #expect(CheckpointGolden.described(state.tensors) == expected)
        #expect(metadata == ["licence": "CC0", "format": "pt"])
    }

    @Test(
        "Headers that contradict the file are refused",
        arguments: [
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7),  // short
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9),  // bytes to spare
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12),  // a gap
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, 8),
            (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),  // another shape
            (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8),
            (#"{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,8]}}"#, 8),
            (#"{"a":{"dtype":"F32","shape":[2e99],"data_offsets":[0,8]}}"#, 8),
            (
                #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
                8
            ),
            (#"{"a":{"dtype":"F32","shape":[2]}}"#, 8),
            (#"{"__metadata__":{"a":1}}"#, 0),
            (#"{"__metadata__":{"a":"b"}}"#, 0),  // no tensor
            ("{", 0), ("[]", 0), ("", 0), (String(repeating: "[", count: 100_000), 0),
        ])
    func contradictions(header: String, bytes: Int) throws {
        let error = try #require(throws: VisemeError.self) {
            try Safetensors.read(file(header, bytes: bytes), name: "x")
        }
        #expect(error.code == .badData)
        #expect(error.hint != nil)
    }

    @Test("Element types that are not read are refused by name")
    func types() throws {
        let header = #"{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#
        let error = try #require(throws: VisemeError.self) { try Safetensors.read(file(header, bytes: 2), name: "x") }
        #expect(error.code == .unsupported)
        #expect(error.message.contains("F8_E4M3"))
    }

    @Test("A header length beyond the file is refused")
    func lengths() {
        for length in [UInt64.max, 1 << 63, 99_000_000, 100] {
            let data = withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data("{}".utf8)
            #expect(throws: VisemeError.self) { try Safetensors.read(data, name: "x") }
        }
    }
}
