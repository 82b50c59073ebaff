import Viseme

/// Finds a model's tensors by role and shape, and holds them against the manifest.
enum ModelBinding {
    /// The tensor among `candidates` whose shape is `pattern` (nil: any length), the batch axis first.
    static func tensor(
        _ what: String, like pattern: [Int?], among candidates: [TensorDescription], declared: [TensorDescription],
        of model: ModelDescription
    ) throws -> TensorDescription {
        let matches = candidates.filter { candidate in
            candidate.shape.count == pattern.count
                && zip(candidate.shape.dropFirst(), pattern.dropFirst()).allSatisfy { axis, wanted in
                    guard case .fixed(let length) = axis else { return false }
                    return wanted == nil || wanted == length
                }
                && [.batch, .fixed(1)].contains(candidate.shape[0])
        }
        let role = model.role == .generator ? "Generator" : "Audio encoder"
        let expected = "[B,\(pattern.dropFirst().map { $0.map(String.init) ?? "S" }.joined(separator: ","))]"
        guard matches.count == 1 else {
            let found = candidates.map { "'\($0.name)' \($0.shapeText)" }.joined(separator: ", ")
            throw VisemeError(
                .badData,
                "\(role) '\(model.file)': expected one tensor \(expected) for the \(what), found \(found.isEmpty ? "none" : found).",
                hint: "This file is not a \(model.role.rawValue) of this family, or of another variant.")
        }
        let tensor = matches[0]
        guard let stated = declared.first(where: { $0.name == tensor.name }) else {
            throw VisemeError(
                .badData,
                "\(role) '\(model.file)' has the \(what) '\(tensor.name)' \(tensor.shapeText), the manifest names "
                    + "\(declared.map { "'\($0.name)'" }.joined(separator: ", ")).",
                hint: "Correct \"inputs\" and \"outputs\" of this model in avatar.json.")
        }
        let fits =
            stated.shape.count == tensor.shape.count
            && zip(stated.shape, tensor.shape).allSatisfy { $0 == $1 || $0 == .batch && $1 == .fixed(1) }
        guard fits else {
            throw VisemeError(
                .badData,
                "\(role) '\(model.file)' wants '\(tensor.name)' as \(tensor.shapeText), the pack says \(stated.shapeText).",
                hint: "Correct the shape in avatar.json, or restore the right model.")
        }
        return tensor
    }
}
