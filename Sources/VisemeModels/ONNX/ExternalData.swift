import Foundation
import Viseme

/// Weights that an ONNX file keeps in files beside it, as PyTorch's exporter writes them.
///
/// They are read from the model's own folder or one below it, never through a link that leaves it, and put inside the model:
/// from then on its bytes, and so its hash, hold all of it.
enum ExternalData {
    /// Puts every tensor's bytes inside the model.
    ///
    /// - Parameters:
    ///   - folder: The folder of the model's file.
    ///   - name: What errors call the model.
    /// - Returns: The files that were read; empty for a model that had everything inside.
    /// - Throws: `.badData` for a path that leaves the folder, bytes that are missing or do not fit their tensor.
    static func embed(in model: inout Onnx_ModelProto, from folder: URL, name: String) throws -> [String] {
        var files = DataFiles(folder: folder, model: name)
        for i in model.graph.initializer.indices where model.graph.initializer[i].isExternal {
            try files.embed(in: &model.graph.initializer[i])
        }
        for n in model.graph.node.indices {
            for a in model.graph.node[n].attribute.indices where model.graph.node[n].attribute[a].t.isExternal {
                try files.embed(in: &model.graph.node[n].attribute[a].t)
            }
        }
        return files.names
    }

    /// Whether a tensor of the model lies outside of the file. Those of graphs inside of a node are not looked at: these
    /// networks have none, and the backend reads no bytes from outside.
    static func isIn(_ model: Onnx_ModelProto) -> Bool {
        model.graph.initializer.contains { $0.isExternal }
            || model.graph.node.contains { node in node.attribute.contains { $0.t.isExternal } }
    }
}

extension Onnx_TensorProto {
    fileprivate var isExternal: Bool { dataLocation == .external || !externalData.isEmpty }
}

/// The files beside a model, each mapped once.
private struct DataFiles {
    let folder: URL
    let model: String
    private var contents: [String: Data] = [:]
    /// Bytes of each file that tensors have not claimed: two tensors do not share bytes, so a small file cannot grow large.
    private var unclaimed: [String: Int] = [:]

    init(folder: URL, model: String) {
        self.folder = folder.resolvingSymlinksInPath()
        self.model = model
    }

    var names: [String] { contents.keys.sorted() }

    mutating func embed(in tensor: inout Onnx_TensorProto) throws {
        let entries = Dictionary(tensor.externalData.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        func damaged(_ what: String) -> VisemeError {
            VisemeError(
                .badData, "'\(model)': the weight '\(tensor.name)' \(what).",
                hint: "Fetch or export the model again, with all of its files in one folder.")
        }
        guard let location = entries["location"], !location.isEmpty else {
            throw damaged("lies in a file beside the model that is not named")
        }
        let data = try read(location, for: tensor.name)
        let start = entries["offset"].map { Int($0) } ?? 0
        let length = entries["length"].map { Int($0) } ?? start.map { data.count - $0 }
        guard let start, let length, start >= 0, length >= 0, start <= data.count, length <= data.count - start else {
            throw damaged(
                "has bytes \(entries["offset"] ?? "0") + \(entries["length"] ?? "all") of '\(location)', which has \(data.count)"
            )
        }
        let left = unclaimed[location, default: data.count] - length
        guard left >= 0 else { throw damaged("shares bytes of '\(location)' with another one") }
        unclaimed[location] = left
        tensor.rawData = data.subdata(in: data.startIndex + start..<data.startIndex + start + length)
        tensor.clearDataLocation()
        tensor.externalData = []
    }

    private mutating func read(_ location: String, for tensor: String) throws -> Data {
        if let known = contents[location] { return known }
        let parts = location.split(separator: "/", omittingEmptySubsequences: false)
        let url = folder.appending(path: location).resolvingSymlinksInPath()
        guard !location.hasPrefix("/"), !location.contains("\\"), !location.contains("\0"), !parts.contains(".."),
            url.path.hasPrefix(folder.path + "/")
        else {
            throw VisemeError(
                .badData, "'\(model)': the weight '\(tensor)' lies in '\(location)', outside of the model's folder.",
                hint: "Put the file beside the model and export it again. Viseme reads weights from nowhere else.")
        }
        do {
            let data = try Data(contentsOf: url, options: .mappedIfSafe)
            contents[location] = data
            return data
        } catch {
            throw VisemeError(
                .badData, "'\(model)' keeps its weights in '\(location)', which cannot be read at '\(url.path)'.",
                hint: "Put '\(location)' beside the model.", cause: error)
        }
    }
}
