import Foundation
import Viseme

/// The files of the two face models, read and found to be the right ones.
///
/// They are resources of this target: `make build` puts them into a folder beside the program. The training has links to the same
/// files; docs/decisions/0024-one-copy-of-the-face-models.md says why.
public struct FaceModelFiles: Sendable {
    static let detectorName = "face_detection.onnx"
    static let landmarksName = "face_landmarks.onnx"
    /// What `NOTICE` says, too.
    static let hashes = [
        detectorName: "28d4406b706a53accafaad2f9cdc1450e07c37e85304ff8ba2e4fc64b0841597",
        landmarksName: "410c91a1d70081919722aa476c3a51bdb3bac68a7f87bb3f3c492bcafbab97ed",
    ]
    /// The environment variable that names their folder.
    static let variable = "VISEME_FACES"

    let detector: Data
    let landmarks: Data

    /// Finds and reads the files: in the folder that VISEME_FACES names, or in the resources beside the program.
    ///
    /// - Throws: `.unavailable` listing every place that was tried; `.badData` for files with another hash.
    public init() throws {
        let named = ProcessInfo.processInfo.environment[Self.variable] ?? ""
        try self.init(searching: named.isEmpty ? Self.places : [URL(filePath: named)])
    }

    /// Reads the files from the first folder that has them.
    init(searching places: [URL]) throws {
        let folder = places.first { place in
            Self.hashes.keys.allSatisfy {
                FileManager.default.fileExists(atPath: place.appending(path: $0).path)
            }
        }
        guard let folder else {
            throw VisemeError(
                .unavailable,
                "The face models \(Self.detectorName) and \(Self.landmarksName) were not found. Tried: "
                    + places.map(\.path).joined(separator: ", "),
                hint: "Keep the folder Viseme_VisemeFaces.resources beside the program, or name the models' folder in "
                    + "\(Self.variable).")
        }
        detector = try Self.read(Self.detectorName, in: folder)
        landmarks = try Self.read(Self.landmarksName, in: folder)
    }

    private static func read(_ name: String, in folder: URL) throws -> Data {
        let url = folder.appending(path: name)
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(.noInput, "The face model '\(url.path)' cannot be read.", cause: error)
        }
        let (found, expected) = (ModelFile.sha256(of: data), hashes[name] ?? "")
        guard found == expected else {
            throw VisemeError(
                .badData, "The face model '\(url.path)' has SHA-256 \(found), expected \(expected).",
                hint: "Restore the file from the release that the program is of.")
        }
        return data
    }

    /// Where the build puts them, by the names of Linux and of Apple systems. `Bundle.module` would end the program where they
    /// are missing.
    private static var places: [URL] {
        let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        let folders = [program, Bundle.main.resourceURL].compactMap(\.self)
        let names = [
            "Viseme_VisemeFaces.resources/Models", "Viseme_VisemeFaces.bundle/Models",
            "Viseme_VisemeFaces.bundle/Contents/Resources/Models",
        ]
        var seen: Set<String> = []
        return folders.flatMap { folder in names.map { folder.appending(path: $0) } }
            .filter { seen.insert($0.standardizedFileURL.path).inserted }
    }
}
