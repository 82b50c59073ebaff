public import Foundation

/// A model file on disk with what the manifest says about it.
public struct ModelFile: Sendable {
    /// Role, hash, names and shapes.
    public let description: ModelDescription
    /// Where it is.
    public let url: URL
    /// What its tensors mean.
    public let family: GeneratorFamily

    /// The SHA-256 of some bytes, as 64 lower-case hexadecimal digits.
    public static func sha256(of data: Data) -> String { SHA256.hexDigest(of: data) }

    private let contents: Data?

    /// The same model with its checked bytes in memory, so that it is read and hashed once; a folder stays on disk.
    ///
    /// - Throws: `.noInput` when the file is absent, `.badData` when the hash differs.
    func inMemory() throws -> ModelFile {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue { return self }
        return holding(try read())
    }

    /// Names a model file.
    public init(_ description: ModelDescription, at url: URL, family: GeneratorFamily = .unnamed) {
        self.description = description
        self.url = url
        self.family = family
        contents = nil
    }

    /// A model that is in memory: made from the file at `url` in a form that a backend can run.
    public init(
        _ description: ModelDescription, contents: Data, madeFrom url: URL, family: GeneratorFamily = .unnamed
    ) {
        self.description = description
        self.url = url
        self.family = family
        self.contents = contents
    }

    /// The same model in a form that a backend can run.
    ///
    /// - Parameter description: What is said of that form, if it differs.
    public func holding(_ contents: Data, as description: ModelDescription? = nil) -> ModelFile {
        ModelFile(description ?? self.description, contents: contents, madeFrom: url, family: family)
    }

    /// The SHA-256 of a model on disk, as 64 lower-case hexadecimal digits.
    ///
    /// That of a folder (a `.mlpackage`) is the digest of the text that `sha256sum` prints for its files: one line
    /// `digest  path` each, paths relative to the folder, sorted by their bytes. Hidden files do not count.
    ///
    /// - Throws: `.noInput` when a file cannot be read.
    public static func sha256(at url: URL) throws -> String {
        func unreadable(_ error: (any Error)?) -> VisemeError {
            VisemeError(
                .noInput, "The model '\(url.path)' cannot be read.",
                hint: "Restore the file, or import the pack again.",
                cause: error)
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else { throw unreadable(nil) }
        do {
            guard isFolder.boolValue else { return sha256(of: try Data(contentsOf: url, options: .mappedIfSafe)) }
            let paths = try FileManager.default.subpathsOfDirectory(atPath: url.path)
                .filter { path in !path.split(separator: "/").contains { $0.hasPrefix(".") } }
                .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            var listing = ""
            for path in paths {
                let file = url.appending(path: path)
                guard FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), !isFolder.boolValue
                else { continue }
                listing += "\(sha256(of: try Data(contentsOf: file, options: .mappedIfSafe)))  \(path)\n"
            }
            return sha256(of: Data(listing.utf8))
        } catch {
            throw unreadable(error)
        }
    }

    /// Checks that what is on disk has the manifest's SHA-256, be it a file or a folder.
    ///
    /// - Throws: `.noInput` when it is absent, `.badData` when the hash differs.
    public func verify() throws {
        try check(Self.sha256(at: url))
    }

    private func check(_ actual: String) throws {
        guard actual == description.sha256.lowercased() else {
            throw VisemeError(
                .badData,
                "The model '\(description.file)' (\(description.role.rawValue)) has SHA-256 \(actual), the manifest says "
                    + "\(description.sha256).",
                hint: "The file was changed or damaged. Restore it, or import the pack again.")
        }
    }

    /// The file's bytes, after their SHA-256 was found to be the manifest's; or the contents, where they are in memory.
    ///
    /// - Throws: `.noInput` when the file is absent, `.badData` when the hash differs.
    public func read() throws -> Data {
        if let contents { return contents }
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VisemeError(
                .noInput,
                "The model '\(description.file)' (\(description.role.rawValue)) cannot be read at \(url.path).",
                hint: "Restore the file, or import the pack again.", cause: error)
        }
        try check(SHA256.hexDigest(of: data))
        return data
    }
}
