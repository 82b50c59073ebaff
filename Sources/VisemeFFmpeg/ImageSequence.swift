import Foundation
import Viseme

/// Numbered images in a folder, checked to have no gap.
struct ImageSequence: Equatable {
    /// The images in the order of their numbers.
    let files: [URL]

    private static let kinds: Set<String> = ["jpg", "jpeg", "png"]

    /// Finds the images of a folder or of a printf-style pattern.
    ///
    /// - Parameter url: A folder with `1.jpg…n.jpg` or `000000.png…`, or a pattern with one `%d` or `%06d` in its name.
    /// - Returns: nil when the address is neither.
    /// - Throws: `.noInput` when the folder is missing or has no such image, `.badData` when a number is missing.
    init?(matching url: URL) throws {
        guard url.isFileURL else { return nil }
        let name = url.lastPathComponent
        if let pattern = Self.parse(name) {
            self = try Self.list(url.deletingLastPathComponent(), label: url.path, matching: pattern)
            return
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue else {
            return nil
        }
        self = try Self.list(url, label: url.path, matching: nil)
    }

    private init(files: [URL]) { self.files = files }

    private struct Pattern {
        var prefix: String
        var suffix: String
        var digits: Int
    }

    /// Reads `before%06dafter`.
    private static func parse(_ name: String) -> Pattern? {
        guard let percent = name.firstIndex(of: "%") else { return nil }
        let rest = name[name.index(after: percent)...]
        guard let letter = rest.firstIndex(of: "d") else { return nil }
        let width = rest[..<letter]
        guard width.allSatisfy({ $0.isASCII && $0.isNumber }), width.count <= 3 else { return nil }
        let suffix = String(rest[rest.index(after: letter)...])
        return Pattern(prefix: String(name[..<percent]), suffix: suffix, digits: Int(width) ?? 1)
    }

    private static func list(_ folder: URL, label: String, matching pattern: Pattern?) throws -> ImageSequence {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        } catch {
            throw VisemeError(.noInput, "Template folder '\(folder.path)' cannot be read", cause: error)
        }
        var numbered: [Int: String] = [:]
        for name in names.sorted() {
            guard let number = number(of: name, pattern) else { continue }
            if let other = numbered.updateValue(name, forKey: number) {
                throw VisemeError(.badData, "Template '\(label)' has number \(number) twice: '\(other)' and '\(name)'")
            }
        }
        guard let first = numbered.keys.min(), let last = numbered.keys.max() else {
            throw VisemeError(
                .noInput, "Template '\(label)' has no numbered image", hint: "name them 000000.jpg, 000001.jpg, …")
        }
        guard first <= 1 else {
            throw VisemeError(.badData, "Template '\(label)' starts with image \(first), expected 0 or 1")
        }
        // Found by counting, so that a single huge number costs no time.
        if last - first + 1 != numbered.count {
            var missing = first
            while numbered[missing] != nil { missing += 1 }
            throw VisemeError(.badData, "Template '\(label)' has no image \(missing); its numbers are \(first)…\(last)")
        }
        return ImageSequence(
            files: (first...last).compactMap { numbered[$0].map { folder.appendingPathComponent($0) } })
    }

    private static func number(of name: String, _ pattern: Pattern?) -> Int? {
        let digits: Substring
        if let pattern {
            guard name.count > pattern.prefix.count + pattern.suffix.count, name.hasPrefix(pattern.prefix),
                name.hasSuffix(pattern.suffix)
            else { return nil }
            digits = name.dropFirst(pattern.prefix.count).dropLast(pattern.suffix.count)
            guard digits.count >= pattern.digits else { return nil }
        } else {
            guard let dot = name.lastIndex(of: "."),
                kinds.contains(name[name.index(after: dot)...].lowercased())
            else { return nil }
            digits = name[..<dot]
        }
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), digits.count <= 9 else { return nil }
        return Int(digits)
    }
}
