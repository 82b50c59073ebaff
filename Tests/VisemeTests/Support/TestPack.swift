import Foundation
import Viseme

/// A pack with small numbers whose models are only names.
struct TestPack {
    var frames = 5
    var width = 40
    var height = 30
    /// Replaces keys of avatar.json.
    var manifest: [String: Any] = [:]
    /// Leaves out a key of avatar.json.
    var without: String?
    /// Replaces crops.json.
    var squares: [[Int]]?

    /// The SHA-256 of the model files: they are empty.
    static let sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    func json() -> [String: Any] {
        func model(_ role: String, _ file: String) -> [String: Any] {
            ["role": role, "file": file, "sha256": Self.sha, "inputs": [Any](), "outputs": [Any]()]
        }
        var json: [String: Any] = [
            "format": 1, "name": "test", "fps": 25, "width": width, "height": height, "frames": frames,
            "template": "frames/%06d.jpg", "crops": "crops.json", "templateOrder": "ping-pong",
            "featureWindow": "rows16",
            "geometry": ["crop": 24, "roi": 16, "border": 4, "mask": [1, 1, 15, 14]], "colourOrder": "BGR",
            "valueRange": [0, 1], "licence": "CC0-1.0", "consent": "nobody is shown",
            "models": [model("audio-encoder", "audio_encoder.onnx"), model("generator", "generator.onnx")],
        ]
        for (key, value) in manifest { json[key] = value }
        if let without { json[without] = nil }
        return json
    }

    var defaultSquares: [[Int]] { (0..<frames).map { [8 + $0 % 3, 6 + $0 % 2, 24 + $0 % 3, 22 + $0 % 2] } }

    /// Writes the pack and gives its folder.
    func write(into folder: URL, name: String = "test.avatar") throws -> URL {
        let pack = folder.appending(path: name)
        try FileManager.default.createDirectory(at: pack, withIntermediateDirectories: true)
        try JSONSerialization.data(withJSONObject: json(), options: .sortedKeys).write(
            to: pack.appending(path: "avatar.json"))
        try JSONSerialization.data(withJSONObject: ["squares": squares ?? defaultSquares])
            .write(to: pack.appending(path: "crops.json"))
        for file in ["audio_encoder.onnx", "generator.onnx"] { try Data().write(to: pack.appending(path: file)) }
        return pack
    }
}
