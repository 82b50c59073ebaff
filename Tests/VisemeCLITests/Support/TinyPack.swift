import Foundation
import Viseme

/// Copies of the tiny pack, changed as a test wants them. `Tests/Fixtures/make_golden.py` makes the original.
struct TinyPack {
    static let golden = Bundle.module.bundleURL.appending(path: "Golden")
    static let original = golden.appending(path: "tiny.avatar")

    let url: URL

    /// Copies the pack into `folder`.
    init(in folder: URL, name: String = "tiny.avatar", of original: URL = original) throws {
        url = folder.appending(path: name)
        try FileManager.default.copyItem(at: original, to: url)
    }

    /// Changes a JSON file of the pack.
    func edit(_ file: String = "avatar.json", _ change: (inout [String: Any]) throws -> Void) throws {
        let target = url.appending(path: file)
        guard var json = try JSONSerialization.jsonObject(with: Data(contentsOf: target)) as? [String: Any] else {
            throw CocoaError(.fileReadCorruptFile)
        }
        try change(&json)
        try JSONSerialization.data(withJSONObject: json).write(to: target)
    }

    /// Puts other bytes in a model's place; the manifest gets their hash.
    func setModel(_ role: ModelRole, _ data: Data) throws {
        try edit { json in
            guard var models = json["models"] as? [[String: Any]],
                let index = models.firstIndex(where: { $0["role"] as? String == role.rawValue }),
                let file = models[index]["file"] as? String
            else { throw CocoaError(.fileReadCorruptFile) }
            try data.write(to: url.appending(path: file))
            models[index]["sha256"] = ModelFile.sha256(of: data)
            json["models"] = models
        }
    }

    /// A model from the golden files in a model's place.
    func setModel(_ role: ModelRole, golden name: String) throws {
        try setModel(role, Data(contentsOf: Self.golden.appending(path: name)))
    }

    func write(_ text: String, _ file: String) throws { try Data(text.utf8).write(to: url.appending(path: file)) }
    func remove(_ file: String) throws { try FileManager.default.removeItem(at: url.appending(path: file)) }
}
