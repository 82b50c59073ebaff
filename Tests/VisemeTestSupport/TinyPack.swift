public import Foundation
import Viseme
import VisemeFFmpeg

/// Packs with small frames and networks of a few kilobytes, one of each family.
public enum TinyPack {
    /// The folder of `tiny.avatar` and `compact.avatar`.
    public static let folder = Repository.root.appending(path: "Tests/VisemeCLITests/Golden")

    /// Writes a copy of a pack whose template is a video: its pictures stay in 4:2:0.
    public static func writeWithVideo(_ name: String, frames: Int, into target: URL) async throws {
        let (source, pack) = (folder.appending(path: "\(name).avatar"), target.appending(path: "\(name).avatar"))
        try FileManager.default.copyItem(at: source, to: pack)
        func edit(_ file: String, _ change: (inout [String: Any]) -> Void) throws {
            let url = pack.appending(path: file)
            var json = try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any] ?? [:]
            change(&json)
            try JSONSerialization.data(withJSONObject: json).write(to: url)
        }
        let avatar = try Avatar(contentsOf: source)
        let reader = try await FFmpeg().template(at: try avatar.member(avatar.manifest.template), memory: 1 << 24)
        let writer = try await FFmpeg().writer(
            VideoRequest(
                url: pack.appending(path: "template.mp4"), width: avatar.manifest.width, height: avatar.manifest.height,
                fps: 25))
        for index in 0..<frames { try await writer.append(try await reader.frame(at: index)) }
        _ = try await writer.finish()
        try edit("avatar.json") { json in
            (json["template"], json["frames"], json["idle"]) = ("template.mp4", frames, [0, frames])
        }
        try edit("crops.json") { json in
            json["squares"] = Array((json["squares"] as? [Any] ?? []).prefix(frames))
        }
    }
}
