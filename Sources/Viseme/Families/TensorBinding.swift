/// The tensors of one model, found by the roles of its family's contract.
public struct TensorBinding: Sendable, Equatable {
    /// Size of the model's pictures; nil for a model without.
    public private(set) var picture: PixelSize?
    private var tensors: [TensorRole: TensorDescription] = [:]

    /// The tensor with a role of the contract.
    public subscript(role: TensorRole) -> TensorDescription {
        guard let tensor = tensors[role] else { preconditionFailure("the contract has no tensor for '\(role)'") }
        return tensor
    }

    /// Whether the model takes any number at a time, and not one alone.
    public func isBatched(_ role: TensorRole) -> Bool { self[role].shape.first == .batch }

    /// The tensor's name and its axes for a batch of `count`.
    public func slot(_ role: TensorRole, count: Int = 1) -> TensorSlot {
        let tensor = self[role]
        return TensorSlot(tensor.name, [count] + tensor.shape.dropFirst().map(\.length))
    }

    /// Finds a model's tensors by role and axes, and holds them against the manifest.
    ///
    /// - Parameters:
    ///   - contract: What the family says of the model.
    ///   - inputs: The model's own inputs.
    ///   - outputs: The model's own outputs. The shape of an only output may be empty where the model does not state it: its first run
    ///     shows whether it has the shape.
    ///   - model: What the manifest says.
    /// - Throws: `.badData` with the expected and the actual shape.
    public init(
        _ contract: TensorContract, inputs: [TensorDescription], outputs: [TensorDescription],
        of model: ModelDescription
    ) throws {
        for entry in contract.inputs {
            try bind(
                entry, of: contract.inputs, among: inputs, declared: model.inputs, of: model,
                pictures: contract.pictures)
        }
        for entry in contract.outputs {
            var candidates = outputs
            if contract.outputs.count == 1, outputs.count == 1, outputs[0].shape.isEmpty {
                // It can be no other.
                candidates[0].shape = entry.description(picture).shape
                candidates[0].shape[0] = .fixed(1)
            }
            try bind(
                entry, of: contract.outputs, among: candidates, declared: model.outputs, of: model,
                pictures: contract.pictures)
        }
    }

    private mutating func bind(
        _ entry: TensorContract.Entry, of entries: [TensorContract.Entry], among candidates: [TensorDescription],
        declared: [TensorDescription], of model: ModelDescription, pictures: PictureSizes
    ) throws {
        let who = "\(model.role.title) '\(model.file)'"
        let hint = "This model is not a \(model.role.rawValue) of this family, or of another variant of it."
        let isAlone = entries.count { $0.axes == entry.axes } == 1
        let matches = candidates.filter { fits($0, entry) && (isAlone || $0.name == entry.name) }
        guard matches.count == 1 else {
            let found = candidates.map { "'\($0.name)' \($0.shapeText)" }.joined(separator: ", ")
            throw VisemeError(
                .badData,
                "\(who): expected one tensor \(pattern(of: entry, pictures)) for the \(entry.title), found \(found.isEmpty ? "none" : found).",
                hint: hint)
        }
        let tensor = matches[0]
        if picture == nil, entry.axes.contains(where: { $0 == .height || $0 == .width }) {
            guard let found = TensorContract.picture(of: tensor, entry.axes), pictures.contains(found) else {
                throw VisemeError(
                    .badData, "\(who) wants images \(tensor.shapeText), expected \(pictures).", hint: hint)
            }
            picture = found
        }
        guard let stated = declared.first(where: { $0.name == tensor.name }) else {
            throw VisemeError(
                .badData,
                "\(who) has the \(entry.title) '\(tensor.name)' \(tensor.shapeText), the manifest names "
                    + "\(declared.map { "'\($0.name)'" }.joined(separator: ", ")).",
                hint: "Correct \"inputs\" and \"outputs\" of this model in avatar.json.")
        }
        let agrees =
            stated.shape.count == tensor.shape.count
            && zip(stated.shape, tensor.shape).allSatisfy { $0 == $1 || $0 == .batch && $1 == .fixed(1) }
        guard agrees else {
            throw VisemeError(
                .badData,
                "\(who) wants '\(tensor.name)' as \(tensor.shapeText), the pack says \(stated.shapeText).",
                hint: "Correct the shape in avatar.json, or restore the right model.")
        }
        tensors[entry.role] = tensor
    }

    private func fits(_ tensor: TensorDescription, _ entry: TensorContract.Entry) -> Bool {
        tensor.shape.count == entry.axes.count
            && zip(tensor.shape, entry.axes).allSatisfy { found, wanted in
                switch (found, wanted) {
                case (.batch, .batch), (.fixed(1), .batch): true
                case (.fixed(let length), .fixed(let wanted)): length == wanted
                case (.fixed(let length), .height): picture == nil || length == picture?.height
                case (.fixed(let length), .width): picture == nil || length == picture?.width
                default: false
                }
            }
    }

    /// The axes as errors print them: `[B,6,S,S]`, `[B,6,H,W]`.
    private func pattern(of entry: TensorContract.Entry, _ pictures: PictureSizes) -> String {
        let axes = entry.axes.map { axis in
            switch axis {
            case .batch: "B"
            case .fixed(let length): "\(length)"
            case .height: picture.map { "\($0.height)" } ?? (pictures.areSquare ? "S" : "H")
            case .width: picture.map { "\($0.width)" } ?? (pictures.areSquare ? "S" : "W")
            }
        }
        return "[\(axes.joined(separator: ","))]"
    }
}
