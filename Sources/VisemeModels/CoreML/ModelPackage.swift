import Foundation
import Viseme

/// The files of a `.mlpackage`: the specification and the weights, found through `Manifest.json`.
struct ModelPackage {
    static let author = "com.apple.CoreML"

    /// `model.mlmodel`: the program.
    var specification: Data
    /// `weights/weight.bin`; empty when the program has no blobs.
    var weights: Data
    /// What is wrong with the folder's form although it can be read.
    var remarks: [String] = []

    private struct Manifest: Codable {
        struct Item: Codable {
            var author: String?
            var description: String?
            var name: String?
            var path: String
        }
        var fileFormatVersion: String
        var itemInfoEntries: [String: Item]
        var rootModelIdentifier: String
    }

    init(specification: Data, weights: Data) {
        self.specification = specification
        self.weights = weights
    }

    /// Opens a package.
    init(at url: URL) throws {
        func damaged(_ what: String, _ cause: (any Error)? = nil) -> VisemeError {
            VisemeError(
                .badData, "The package '\(url.lastPathComponent)' \(what).",
                hint: "Copy or export the package again, as a whole folder.", cause: cause)
        }
        let manifest: Manifest
        do {
            let text = try Data(contentsOf: url.appending(path: "Manifest.json"))
            manifest = try JSONDecoder().decode(Manifest.self, from: text)
        } catch {
            throw damaged("has no Manifest.json that can be read", error)
        }
        guard manifest.fileFormatVersion.hasPrefix("1.") else {
            throw VisemeError(
                .unsupported,
                "The package '\(url.lastPathComponent)' has format \(manifest.fileFormatVersion), this Viseme reads 1.")
        }
        let folder = url.appending(path: "Data")
        func file(_ item: Manifest.Item) throws -> URL {
            let parts = item.path.split(separator: "/")
            guard !item.path.hasPrefix("/"), !parts.contains(".."), !parts.isEmpty else {
                throw damaged("names the file '\(item.path)' outside of itself")
            }
            return folder.appending(path: item.path)
        }
        guard let root = manifest.itemInfoEntries[manifest.rootModelIdentifier] else {
            throw damaged("has no item for its root model \(manifest.rootModelIdentifier)")
        }
        let rootFile = try file(root)
        do {
            specification = try Data(contentsOf: rootFile, options: .mappedIfSafe)
        } catch {
            throw damaged("lacks its model '\(root.path)'", error)
        }
        weights = Data()
        let others = manifest.itemInfoEntries.filter { $0.key != manifest.rootModelIdentifier }.values
        for item in others where item.path.split(separator: "/").last == "weights" {
            let path = try file(item).appending(path: "weight.bin")
            do {
                weights = try Data(contentsOf: path, options: .mappedIfSafe)
            } catch {
                throw damaged("lacks its weights '\(item.path)/weight.bin'", error)
            }
        }
        let stray = folder.appending(path: "\(Self.author)/weights/weight.bin")
        if weights.isEmpty, FileManager.default.fileExists(atPath: stray.path) {
            remarks.append("the weights are in the folder, but Manifest.json does not name them")
            weights = try Data(contentsOf: stray, options: .mappedIfSafe)
        }
        for item in manifest.itemInfoEntries.values where item.author != Self.author {
            remarks.append("the item '\(item.path)' has the author \(item.author ?? "nobody")")
        }
    }

    /// Writes the package's files into an empty folder. The identifiers follow from the content, so the same model gives the same bytes.
    func write(to url: URL) throws {
        let digest = ModelFile.sha256(of: specification)
        func identifier(_ start: Int) -> String {
            let digits = Array(digest.uppercased())
            return [(0, 8), (8, 4), (12, 4), (16, 4), (20, 12)].map { first, count in
                String(digits[(start + first) % 64..<min(64, (start + first) % 64 + count)])
            }.joined(separator: "-")
        }
        let manifest = Manifest(
            fileFormatVersion: "1.0.0",
            itemInfoEntries: [
                identifier(0): .init(
                    author: Self.author, description: "CoreML Model Specification", name: "model.mlmodel",
                    path: "\(Self.author)/model.mlmodel"),
                identifier(32): .init(
                    author: Self.author, description: "CoreML Model Weights", name: "weights",
                    path: "\(Self.author)/weights"),
            ], rootModelIdentifier: identifier(0))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let weightsFolder = url.appending(path: "Data/\(Self.author)/weights")
        do {
            try FileManager.default.createDirectory(at: weightsFolder, withIntermediateDirectories: true)
            try encoder.encode(manifest).write(to: url.appending(path: "Manifest.json"))
            try specification.write(to: url.appending(path: "Data/\(Self.author)/model.mlmodel"))
            try weights.write(to: weightsFolder.appending(path: "weight.bin"))
        } catch {
            throw VisemeError(
                .cannotCreate, "The package cannot be written to '\(url.path)'.",
                hint: "Is the folder writable, and the disk not full?", cause: error)
        }
    }
}
