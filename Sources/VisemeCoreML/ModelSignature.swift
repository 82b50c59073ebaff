#if canImport(CoreML)
    import CoreML
    import Foundation
    import Viseme

    /// The inputs and outputs of a model, as it describes them itself.
    struct ModelSignature: Sendable {
        /// Multi-arrays of Float32 or Float16; others are an error.
        let inputs: [ModelTensor]
        /// Multi-arrays of Float32 or Float16; others are left out.
        let outputs: [ModelTensor]
        /// The inputs without which the model does not run.
        private let required: Set<String>

        /// Reads a model's description.
        ///
        /// - Throws: `.badData` when an input is something else than a multi-array of Float32 or Float16.
        init(_ description: MLModelDescription, of model: ModelDescription) throws {
            inputs = try description.inputDescriptionsByName.sorted { $0.key < $1.key }.map { name, feature in
                guard let tensor = Self.tensor(name, feature) else {
                    let actual =
                        feature.multiArrayConstraint.map { "a multi-array of type \($0.dataType.rawValue)" }
                        ?? "a feature of type \(feature.type.rawValue)"
                    throw VisemeError(
                        .badData,
                        "Input '\(name)' of '\(model.file)' is \(actual), expected a multi-array of Float32 "
                            + "(\(MLMultiArrayDataType.float32.rawValue)) or Float16 (\(MLMultiArrayDataType.float16.rawValue)).",
                        hint: "Convert the model with multi-arrays as inputs: viseme convert CHECKPOINT OUT.mlpackage")
                }
                return tensor
            }
            outputs = description.outputDescriptionsByName.sorted { $0.key < $1.key }.compactMap(Self.tensor)
            required = Set(description.inputDescriptionsByName.filter { !$0.value.isOptional }.keys)
        }

        /// Finds the tensors of a contract.
        ///
        /// - Returns: The tensor with each role.
        /// - Throws: `.badData` when one is missing or not as the manifest says, or when the model demands an input that its role
        ///   does not have.
        func bind(_ contract: TensorContract, of model: ModelDescription) throws -> (TensorRole) -> ModelTensor {
            let binding = try TensorBinding(
                contract, inputs: inputs.map(\.description), outputs: outputs.map(\.description), of: model)
            try requireInputs(contract.inputs.map { binding[$0.role].name }, of: model)
            let elements = Dictionary((inputs + outputs).map { ($0.name, $0.element) }) { first, _ in first }
            return { role in
                let tensor = binding[role]
                return ModelTensor(description: tensor, element: elements[tensor.name] ?? .float32)
            }
        }

        /// Checks that nothing is left to feed.
        private func requireInputs(_ bound: [String], of model: ModelDescription) throws {
            let missing = required.subtracting(bound).sorted()
            guard missing.isEmpty else {
                throw VisemeError(
                    .badData,
                    "'\(model.file)' demands the input\(missing.count == 1 ? "" : "s") "
                        + "\(missing.map { "'\($0)'" }.joined(separator: ", ")), which no \(model.role.rawValue) has.",
                    hint: "This package is of another variant of the family.")
            }
        }

        private static func tensor(_ name: String, _ feature: MLFeatureDescription) -> ModelTensor? {
            guard let constraint = feature.multiArrayConstraint, let element = TensorElement(constraint.dataType) else {
                return nil
            }
            var shape = constraint.shape.map { TensorDescription.Dimension.fixed($0.intValue) }
            if !shape.isEmpty, takesBatches(constraint.shapeConstraint) { shape[0] = .batch }
            return ModelTensor(description: TensorDescription(name: name, shape: shape), element: element)
        }

        /// Whether the first axis may be 1 and may be something else.
        private static func takesBatches(_ constraint: MLMultiArrayShapeConstraint) -> Bool {
            switch constraint.type {
            case .range:
                guard let range = constraint.sizeRangeForDimension.first?.rangeValue else { return false }
                return range.location <= 1 && range.length > 1
            case .enumerated:
                let lengths = Set(constraint.enumeratedShapes.compactMap { $0.first?.intValue })
                return lengths.contains(1) && lengths.count > 1
            default:
                return false
            }
        }
    }
#endif
