import Viseme

/// An input or output of a Core ML model.
struct ModelTensor: Sendable, Equatable {
    /// Name and shape. The shape is empty where the model does not state it, as it may for an output.
    var description: TensorDescription
    /// What its elements are.
    var element: TensorElement

    /// The name inside the model.
    var name: String { description.name }

    /// The shape with a batch of one.
    var single: [Int] {
        description.shape.map { axis in
            switch axis {
            case .fixed(let length): length
            case .batch: 1
            }
        }
    }

    /// Finds a model's tensor by role and shape, and holds it against the manifest.
    ///
    /// - Parameters:
    ///   - what: The role, in words.
    ///   - pattern: The shape; nil is any length, and the batch axis comes first.
    ///   - candidates: The model's inputs, or its outputs.
    ///   - declared: What the manifest says of them.
    /// - Throws: `.badData` with the expected and the actual shape.
    static func find(
        _ what: String, like pattern: [Int?], among candidates: [ModelTensor], declared: [TensorDescription],
        of model: ModelDescription
    ) throws -> ModelTensor {
        let role = model.role == .generator ? "Generator" : "Audio encoder"
        var matches = candidates.filter { fits($0.description, pattern) }
        if matches.isEmpty, candidates.count == 1, candidates[0].description.shape.isEmpty {
            // An only output without a shape can be no other; the first run shows whether it has the shape.
            var tensor = candidates[0]
            tensor.description.shape = [.fixed(1)] + pattern.dropFirst().compactMap { $0.map { .fixed($0) } }
            if tensor.description.shape.count == pattern.count { matches = [tensor] }
        }
        guard matches.count == 1 else {
            let expected = "[B,\(pattern.dropFirst().map { $0.map(String.init) ?? "S" }.joined(separator: ","))]"
            let found = candidates.map { "'\($0.name)' \($0.description.shapeText)" }.joined(separator: ", ")
            throw VisemeError(
                .badData,
                "\(role) '\(model.file)': expected one tensor \(expected) for the \(what), found \(found.isEmpty ? "none" : found).",
                hint: "This package is not a \(model.role.rawValue) of this family, or of another variant.")
        }
        let tensor = matches[0]
        guard let stated = declared.first(where: { $0.name == tensor.name }) else {
            throw VisemeError(
                .badData,
                "\(role) '\(model.file)' has the \(what) '\(tensor.name)' \(tensor.description.shapeText), the manifest names "
                    + "\(declared.map { "'\($0.name)'" }.joined(separator: ", ")).",
                hint: "Correct \"inputs\" and \"outputs\" of this model in avatar.json.")
        }
        let agrees =
            stated.shape.count == tensor.description.shape.count
            && zip(stated.shape, tensor.description.shape).allSatisfy { $0 == $1 || $0 == .batch && $1 == .fixed(1) }
        guard agrees else {
            throw VisemeError(
                .badData,
                "\(role) '\(model.file)' wants '\(tensor.name)' as \(tensor.description.shapeText), the pack says \(stated.shapeText).",
                hint: "Correct the shape in avatar.json, or restore the right model.")
        }
        return tensor
    }

    private static func fits(_ tensor: TensorDescription, _ pattern: [Int?]) -> Bool {
        tensor.shape.count == pattern.count
            && zip(tensor.shape.dropFirst(), pattern.dropFirst()).allSatisfy { axis, wanted in
                guard case .fixed(let length) = axis else { return false }
                return wanted == nil || wanted == length
            }
            && [.batch, .fixed(1)].contains(tensor.shape[0])
    }
}
