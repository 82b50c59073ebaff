import Foundation
import SwiftProtobuf
import Viseme

/// A generator's file cut where the audio enters, node by node.
///
/// Of what lies behind the cut the operations need not be known: it is copied. What lies before it is read as a `ModelGraph`,
/// which gives the shapes at the cut and what each tensor costs.
struct CopiedSplit {
    /// What depends on the image alone.
    let template: ModelGraph
    /// The tensors at the cut, in the order in which the network makes them.
    let names: [String]
    /// Tensors at the cut that are planes of the image as they are: what lies behind it is given the image itself.
    let planes: [String: Range<Int>]
    private let model: Onnx_ModelProto
    private let image, audio: String

    /// Operations that read tensors which they do not name.
    private static let closures: Set<String> = ["If", "Loop", "Scan", "SequenceMap"]

    /// Finds the cut.
    ///
    /// - Throws: `.unsupported` when the audio meets the image itself, or what is before the cut cannot be read.
    init(_ model: Onnx_ModelProto, image: String, audio: String) throws {
        let nodes = model.graph.node
        if let node = nodes.first(where: { Self.closures.contains($0.opType) }) {
            throw VisemeError(
                .unsupported, "The operation '\(node.name)' (\(node.opType)) holds a graph of its own.")
        }
        let heard = Self.dependants(of: audio, nodes)
        let seen = Self.dependants(of: image, nodes).subtracting(heard)
        let read = Set(nodes.filter { $0.output.contains(where: heard.contains) }.flatMap(\.input))
            .intersection(seen)
        var planes: [String: Range<Int>] = [:]
        for node in nodes where node.output.count == 1 && read.contains(node.output[0]) {
            planes[node.output[0]] = try Self.planes(of: image, copiedBy: node, in: model)
        }
        if let node = nodes.first(where: {
            $0.opType == "Slice" && $0.input.first == image && $0.output.contains(where: read.contains)
        }) {
            throw VisemeError(
                .unsupported, "Its audio enters at the image itself: '\(node.output[0])' (Slice) is a part of it.")
        }
        names = nodes.flatMap(\.output).filter { read.contains($0) && planes[$0] == nil }
        guard !names.isEmpty, !read.contains(image), model.graph.output.allSatisfy({ heard.contains($0.name) }) else {
            throw VisemeError(.unsupported, "Its audio enters at the image itself.")
        }
        (self.model, self.planes, self.image, self.audio) = (model, planes, image, audio)
        var top = Self.part(of: model, making: Set(names), from: [])
        top.graph.input = model.graph.input.filter { $0.name == image }
        top.graph.output = names.map { ONNXWriter.valueInfo(TensorDescription(name: $0, shape: [])) }
        template = try ONNXReader.graph(top)
        guard template.grids.isEmpty else {
            throw VisemeError(.unsupported, "It is in int8, with operations that are not known.")
        }
    }

    /// What lies behind the cut: its tensors come as halves.
    func rest(_ slots: [TensorSlot]) throws -> Data {
        let cut = Set(names).union(planes.keys)
        var rest = Self.part(of: model, making: Set(model.graph.output.map(\.name)), from: cut)
        let halves = zip(slots, names).map { slot, name in
            ONNXWriter.valueInfo(TensorDescription(name: name, shape: slot.shape.map { .fixed($0) }), slot)
        }
        let given = planes.isEmpty ? [audio] : [image, audio]
        rest.graph.input = halves + model.graph.input.filter { given.contains($0.name) }
        rest.graph.valueInfo = []
        rest.graph.node =
            zip(slots, names).map { ONNXWriter.cast($0.name, to: $1, type: 1) } + rest.graph.node
        for (name, range) in planes.sorted(by: { $0.key < $1.key }) {
            let bounds = [("starts", range.lowerBound), ("ends", range.upperBound), ("axes", 1)].map { what, value in
                Onnx_TensorProto.with {
                    ($0.name, $0.dataType, $0.dims, $0.int64Data) = ("\(name)/\(what)", 7, [1], [Int64(value)])
                }
            }
            rest.graph.initializer += bounds
            rest.graph.node.insert(
                .with {
                    ($0.opType, $0.name, $0.input, $0.output) = ("Slice", name, [image] + bounds.map(\.name), [name])
                },
                at: 0)
        }
        return try rest.serializedData()
    }

    /// The planes of the image that a convolution copies, one after the other: its weights are 1 for each, and 0.
    private static func planes(
        of image: String, copiedBy node: Onnx_NodeProto, in model: Onnx_ModelProto
    ) throws -> Range<Int>? {
        // Slice has its bounds as inputs since version 10.
        guard node.opType == "Conv", node.input.count == 2, node.input[0] == image,
            model.opsetImport.contains(where: { $0.domain.isEmpty && $0.version >= 10 }),
            node.attribute.allSatisfy({ attribute in
                switch attribute.name {
                case "group", "auto_pad": attribute.i == 1 || attribute.s == Data("NOTSET".utf8)
                case "pads": attribute.ints.allSatisfy { $0 == 0 }
                case "strides": attribute.ints.allSatisfy { $0 == 1 }
                default: true
                }
            }),
            let weights = model.graph.initializer.first(where: { $0.name == node.input[1] })
                ?? model.graph.node.first(where: { $0.output == [node.input[1]] })?.attribute("value")?.t,
            weights.dims.count == 4, weights.dims[2...] == [1, 1]
        else { return nil }
        return try StoredTensor(weights).copiedPlanes
    }

    /// The nodes and weights that some tensors are made from, with `given` at hand.
    private static func part(
        of model: Onnx_ModelProto, making wanted: Set<String>, from given: Set<String>
    ) -> Onnx_ModelProto {
        var needed = wanted.subtracting(given)
        var nodes: [Onnx_NodeProto] = []
        for node in model.graph.node.reversed() where node.output.contains(where: needed.contains) {
            nodes.append(node)
            needed.formUnion(Set(node.input).subtracting(given))
        }
        var part = model
        part.graph.node = nodes.reversed()
        part.graph.initializer = model.graph.initializer.filter { needed.contains($0.name) }
        return part
    }

    private static func dependants(of name: String, _ nodes: [Onnx_NodeProto]) -> Set<String> {
        var reached: Set<String> = [name]
        for node in nodes where node.input.contains(where: reached.contains) { reached.formUnion(node.output) }
        return reached
    }
}

extension ModelGraph {
    /// Whether planes of an input are copied: where the file is cut node by node, they pass the cut as they are.
    var copiesPlanes: Bool {
        let given = Set(inputs.map(\.name))
        return nodes.contains { node in
            guard let source = node.inputs.first, given.contains(source) else { return false }
            switch node.operation {
            case .slice: return true
            case .convolution(let convolution):
                return convolution == Convolution() && node.inputs.count == 2
                    && weights[node.inputs[1]]?.copiedPlanes != nil
            default: return false
            }
        }
    }
}

extension StoredTensor {
    /// The planes that a kernel [out, planes, 1, 1] copies, one after the other: its weights are 1 for each, and 0.
    var copiedPlanes: Range<Int>? {
        guard shape.count == 4, shape[2...] == [1, 1] else { return nil }
        let (values, copies, planes) = (floats(), shape[0], shape[1])
        guard let first = values.prefix(planes).firstIndex(of: 1), first + copies <= planes else { return nil }
        for (index, value) in values.enumerated() {
            guard value == (index % planes == first + index / planes ? 1 : 0) else { return nil }
        }
        return first..<first + copies
    }
}

extension SplitParts {
    /// Cuts a generator of whose audio side the operations are not known.
    ///
    /// - Returns: Nil when the budget holds no tensor.
    /// - Throws: why it cannot be cut.
    init?(copying data: Data, model: ModelFile, budget: TemplateBudget) throws {
        let (description, contract) = (model.description, model.family.generator)
        let file = try ONNXReader.model(data, name: description.file)
        let stored = Set(file.graph.initializer.map(\.name))
        let inputs = try file.graph.input.filter { !stored.contains($0.name) }.map { try $0.tensor() }
        guard
            let roles = GeneratorRoles(
                inputs: inputs, outputs: try file.graph.output.map { try $0.tensor() }, of: description, contract)
        else {
            throw VisemeError(.unsupported, "Its inputs and outputs are not those of a generator.")
        }
        let cut = try CopiedSplit(file, image: roles.image, audio: roles.audio)
        guard
            let split = try GeneratorSplit(
                cut.template, template: cut.names, image: roles.image, audio: roles.audio, budget: budget)
        else { return nil }
        let slots = Dictionary(
            uniqueKeysWithValues: try cut.template.shapes().map { ($0, cut.template.passed($0, shape: $1)) })
        func passed(_ names: [String]) -> [TensorSlot] { names.compactMap { slots[$0] } }
        func part(_ graph: ModelGraph, _ name: String, passing: [String]) throws -> Part {
            Part(name: "\(description.file), \(name) part", data: try ONNXWriter.data(graph, passing: Set(passing)))
        }
        shallow = try split.shallow.map { try part($0, "shallow", passing: split.fresh) }
        deep = try part(split.deep, "deep", passing: split.kept)
        rest = Part(name: "\(description.file), audio part", data: try cut.rest(passed(cut.names)))
        imageSize = roles.imageSize
        keeping = TemplateKeeping(tensors: split.kept, bytesPerFrame: split.keptBytes, frames: split.keptFrames)
        let tensors = roles.tensors
        (image, audio, mouth) = (tensors.slot(.image), tensors.slot(.audio), tensors.slot(.mouth))
        (fresh, kept) = (passed(split.fresh), passed(split.kept))
        bridge = try split.bridge.map { name in TensorSlot(name, try cut.template.shapes()[name] ?? []) }
        deepReadsImage = split.deep.inputs.contains { $0.name == roles.image }
        restReadsImage = !cut.planes.isEmpty
    }
}
