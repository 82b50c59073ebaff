import Foundation
import SwiftProtobuf
import Testing
import VisemeONNX
import VisemeTestSupport

@testable import Viseme
@testable import VisemeModels

/// ONNX files that keep their weights in a file beside them, as PyTorch 2.9 and later write them.
@Suite("Weights beside the model")
struct ExternalDataTests {
    /// Writes `narrow.onnx` with its large weights in another file.
    private func write(
        to folder: URL, location: String = "model.onnx.data", change: (inout Onnx_TensorProto) -> Void = { _ in }
    ) throws -> URL {
        var model = try Onnx_ModelProto(serializedBytes: Data(contentsOf: Narrow.url("narrow.onnx")))
        var data = Data()
        for i in model.graph.initializer.indices where model.graph.initializer[i].rawData.count >= 64 {
            let bytes = model.graph.initializer[i].rawData
            var entries: [Onnx_StringStringEntryProto] = []
            for (key, value) in [
                ("location", location), ("offset", String(data.count)), ("length", String(bytes.count)),
            ] {
                var entry = Onnx_StringStringEntryProto()
                (entry.key, entry.value) = (key, value)
                entries.append(entry)
            }
            model.graph.initializer[i].clearRawData()
            model.graph.initializer[i].externalData = entries
            model.graph.initializer[i].dataLocation = .external
            change(&model.graph.initializer[i])
            data += bytes
        }
        try #require(!data.isEmpty)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let url = folder.appending(path: "model.onnx")
        let bytes: Data = try model.serializedData()
        try bytes.write(to: url)
        if !location.hasPrefix("/"), !location.contains("..") {
            try data.write(to: folder.appending(path: location))
        }
        return url
    }

    @Test("They are put inside: the same network, in one file")
    func embedded() throws {
        try withFolder { folder in
            let url = try write(to: folder)
            let whole = try ONNXReader.selfContained(at: url)
            let original = try Narrow.open("narrow.onnx").network().graph.folded()
            #expect(try ONNXReader.graph(whole, name: "whole").folded().tensorDigest() == original.tensorDigest())
            let opened = try OpenedModel(at: url)
            #expect(try opened.network().graph.folded().tensorDigest() == original.tensorDigest())
            #expect(opened.remarks.contains { $0.contains("model.onnx.data") })
            // A model that has everything inside is not touched.
            let plain = try Data(contentsOf: Narrow.url("narrow.onnx"))
            #expect(try ONNXReader.selfContained(at: Narrow.url("narrow.onnx")) == plain)
        }
    }

    @Test(
        "A path that leaves the folder is refused",
        arguments: ["../model.onnx.data", "/etc/passwd", "a/../../b", "..", "\\\\host\\x"])
    func outside(_ location: String) throws {
        try withFolder { folder in
            let inner = folder.appending(path: "inner")
            try Data(count: 100_000).write(to: folder.appending(path: "model.onnx.data"))
            let url = try write(to: inner, location: location)
            let error = #expect(throws: VisemeError.self) { try ONNXReader.selfContained(at: url) }
            #expect(error?.message.contains("outside of the model's folder") == true, "\(String(describing: error))")
        }
    }

    @Test("A link that leaves the folder is refused")
    func link() throws {
        try withFolder { folder in
            let inner = folder.appending(path: "inner")
            let url = try write(to: inner)
            let data = inner.appending(path: "model.onnx.data")
            try FileManager.default.moveItem(at: data, to: folder.appending(path: "elsewhere"))
            try FileManager.default.createSymbolicLink(
                at: data, withDestinationURL: folder.appending(path: "elsewhere"))
            #expect(throws: VisemeError.self) { try ONNXReader.selfContained(at: url) }
        }
    }

    @Test(
        "Missing files and bytes that do not fit are named",
        arguments: ["absent", "offset", "length", "negative", "shared"])
    func damaged(_ fault: String) throws {
        try withFolder { folder in
            let url = try write(to: folder) { tensor in
                switch fault {
                case "offset": tensor.externalData[1].value = "99999999999"
                case "length": tensor.externalData[2].value = "9223372036854775807"
                case "negative": tensor.externalData[1].value = "-4"
                case "shared":
                    tensor.externalData[1].value = "0"
                    tensor.externalData.remove(at: 2)
                default: break
                }
            }
            if fault == "absent" { try FileManager.default.removeItem(at: folder.appending(path: "model.onnx.data")) }
            let error = #expect(throws: VisemeError.self) { try ONNXReader.selfContained(at: url) }
            #expect(error?.code == .badData && error?.hint != nil)
        }
    }

    /// ONNX Runtime itself would take them from the current folder, whatever lies there.
    @Test("The backend takes nothing from outside of the checked bytes", .enabled(if: Repository.canRunModels))
    func backend() async throws {
        try withFolder { folder in
            let here = FileManager.default.currentDirectoryPath
            let name = "viseme-test-\(UUID().uuidString).data"
            let url = try write(to: folder, location: name)
            // The very file, where ONNX Runtime looks for it by itself.
            let bait = URL(filePath: here).appending(path: name)
            try FileManager.default.copyItem(at: folder.appending(path: name), to: bait)
            defer { try? FileManager.default.removeItem(at: bait) }
            let error = #expect(throws: VisemeError.self) { try Narrow.runner().describe(.generator, at: url) }
            #expect(error?.code == .badData && error?.hint?.contains("avatar import") == true)
        }
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "viseme-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }
}
