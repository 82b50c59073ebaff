import Foundation
public import Viseme

/// Two models of the same role, held against each other: weights, outputs, and the first layer that differs.
public struct ModelComparison: Sendable, Codable {
    /// The tolerances: |a − b| ≤ absolute + relative · |a|.
    public struct Tolerance: Sendable, Codable {
        /// Absolute part.
        public var absolute: Double
        /// Relative part.
        public var relative: Double

        /// Makes a tolerance.
        public init(absolute: Double, relative: Double) {
            self.absolute = absolute
            self.relative = relative
        }
    }

    /// Whether the folded weights are equal, bit by bit; nil when the architectures differ.
    public var weightsAreIdentical: Bool?
    /// The layers whose weights differ, in the order in which they run.
    public var weights: [TensorDifference]
    /// The outputs on every probe.
    public var outputs: [TensorDifference]
    /// Every tensor on the first probe, in the order in which they are made.
    public var layers: [TensorDifference]
    /// The first of `layers` outside the tolerance.
    public var firstDifferingLayer: String?
    /// What kept a part from being compared.
    public var remarks: [String]
    /// Whether all outputs are within the tolerance.
    public var isEqual: Bool

    /// Compares two models.
    ///
    /// - Parameters:
    ///   - a: The one that is trusted; relative differences refer to it.
    ///   - b: The other one.
    ///   - runner: What runs both.
    ///   - everyLayer: Compares every tensor between the layers even when the outputs agree.
    /// - Throws: `.badData` when they are models of different roles, or one cannot be run.
    public init(
        _ a: OpenedModel, _ b: OpenedModel, runner: any GraphLoader, tolerance: Tolerance, everyLayer: Bool = false
    ) async throws {
        let (first, second) = (try a.network(), try b.network())
        guard first.family.role == second.family.role else {
            throw VisemeError(
                .badData,
                "'\(a.url.lastPathComponent)' is an \(first.family.text), '\(b.url.lastPathComponent)' is a \(second.family.text).",
                hint: "Compare two models of one role.")
        }
        let (x, y) = (first.graph.folded(), second.graph.folded())
        weights = []
        outputs = []
        layers = []
        remarks = []
        let pairs = try x.aligned(with: y)
        let isOneFamily = first.family == second.family
        let alone = try pairs.first { $0.1 == nil }?.0 ?? y.aligned(with: x).first { $0.1 == nil }?.0
        if isOneFamily, alone == nil {
            for (node, partner) in pairs {
                for (position, (name, other)) in zip(node.inputs, partner?.inputs ?? []).enumerated() {
                    guard let left = x.weights[name], let right = y.weights[other] else { continue }
                    let (l, r) = (left.floats(), right.floats())
                    if l.elementsEqual(r, by: { $0.bitPattern == $1.bitPattern }) { continue }
                    let part = node.isLayer ? (position == 1 ? ".weight" : ".bias") : ".constant"
                    weights.append(TensorDifference(node.name + part, l, r))
                }
            }
            weightsAreIdentical = weights.isEmpty
        } else if let alone, isOneFamily {
            remarks.append(
                "the architectures differ: '\(alone.name)' (\(alone.operation.label)) is in one of them alone; "
                    + "only the outputs, and the layers that both have, are compared")
        } else {
            remarks.append(
                "the architectures differ: \(first.family.text) against \(second.family.text); only the outputs are compared"
            )
        }
        let probes = ProbeInputs.all(for: x, family: first.family)
        let otherProbes = ProbeInputs.all(for: y, family: second.family)  // the same ones, in the order of y's inputs
        for ((probe, left), right) in zip(
            zip(probes, try await x.outputs(of: probes, runner: runner)),
            try await y.outputs(of: otherProbes, runner: runner))
        {
            for (l, r) in zip(left, right) {
                guard l.count == r.count else {
                    throw VisemeError(
                        .badData,
                        "The outputs have \(l.count) and \(r.count) elements: the models are of different sizes.")
                }
                outputs.append(TensorDifference(probe.name, l, r))
            }
        }
        isEqual = outputs.allSatisfy { $0.isWithin(absolute: tolerance.absolute, relative: tolerance.relative) }
        if isOneFamily, everyLayer || !isEqual {
            layers = try await Self.layers(x, probes[0], y, otherProbes[0], pairs, runner: runner)
            firstDifferingLayer =
                layers.first { !$0.isWithin(absolute: tolerance.absolute, relative: tolerance.relative) }?.name
        }
        remarks += (outputs + weights).compactMap { difference in difference.remark.map { "\(difference.name): \($0)" }
        }
    }

    /// Every tensor that both graphs make, on one probe. They are fetched in groups, so that memory stays bounded.
    private static func layers(
        _ x: ModelGraph, _ probe: ProbeInputs, _ y: ModelGraph, _ other: ProbeInputs,
        _ pairs: [(ModelGraph.Node, ModelGraph.Node?)], runner: any GraphLoader
    ) async throws -> [TensorDifference] {
        let partners = pairs.compactMap { node, partner in partner.map { (node, $0) } }
        var result: [TensorDifference] = []
        var rest = partners[...]
        for group in try x.groups(of: partners.map(\.0.output)) {
            let both = rest.prefix(group.count)
            rest = rest.dropFirst(group.count)
            let left = try await x.values(of: group, on: probe, runner: runner)
            let right = try await y.values(of: both.map(\.1.output), on: other, runner: runner)
            for (index, (node, _)) in both.enumerated() {
                result.append(TensorDifference(node.name, left[index], right[index]))
            }
        }
        return result
    }
}

extension OpenedModel {
    /// The network and its family.
    ///
    /// - Throws: what kept it from being read, or that it is none of this family.
    public func network() throws -> (graph: ModelGraph, family: ModelFamily) {
        if let problem { throw problem }
        guard let graph, let family else {
            throw VisemeError(
                .unsupported,
                "'\(url.lastPathComponent)' can be read, but it is neither the audio encoder nor a generator of this family.",
                hint: "viseme inspect '\(url.path)' shows what it is.")
        }
        return (graph, family)
    }
}

extension ModelGraph {
    /// The outputs on every probe. The network is loaded once and gone afterwards.
    func outputs(of probes: [ProbeInputs], runner: any GraphLoader, optimised: Bool = true) async throws -> [[[Float]]]
    {
        try await loaded(by: runner, optimised: optimised).outputs(of: probes)
    }

    /// The network, ready to run: its weights are the runner's then, and this graph may go.
    func loaded(by runner: any GraphLoader, optimised: Bool = true, exposing: [String] = []) async throws
        -> LoadedNetwork
    {
        let shapes = try shapes()
        var outline = self
        outline.weights = [:]
        return LoadedNetwork(
            outline: outline, shapes: shapes,
            network: try await runner.graph(
                ONNXWriter.data(self, exposing: Set(exposing)), name: "model", threads: 1, optimised: optimised))
    }

    /// Tensors in groups of at most 150 MB in Float32, in order: what can be fetched at once while memory stays bounded.
    func groups(of names: [String]) throws -> [[String]] {
        let shapes = try shapes()
        var groups: [[String]] = []
        var bytes = 0
        for name in names {
            let size = 4 * (StoredTensor.count(of: shapes[name] ?? []) ?? 0)
            if groups.isEmpty || bytes + size > 150_000_000 {
                groups.append([])
                bytes = 0
            }
            groups[groups.count - 1].append(name)
            bytes += size
        }
        return groups
    }

    /// The values of any tensors on a probe, operations run exactly as written.
    func values(of names: [String], on probe: ProbeInputs, runner: any GraphLoader) async throws -> [[Float]] {
        try await loaded(by: runner, optimised: false, exposing: names).values(of: names, on: probe)
    }
}

/// A network that was loaded to be run on probes.
struct LoadedNetwork {
    /// The graph without its weights.
    let outline: ModelGraph
    let shapes: [String: [Int]]
    let network: any LoadedGraph

    /// The outputs on every probe.
    func outputs(of probes: [ProbeInputs]) async throws -> [[[Float]]] {
        var answers: [[[Float]]] = []
        for probe in probes { answers.append(try await values(of: outline.outputs.map(\.name), on: probe)) }
        return answers
    }

    /// The values of outputs, or of tensors that were exposed.
    func values(of names: [String], on probe: ProbeInputs) async throws -> [[Float]] {
        try await network.run(
            zip(outline.inputs, probe.values).map { Tensor($0.name, shapes[$0.name] ?? [], $1) },
            outputs: names.map { TensorSlot($0, shapes[$0] ?? []) }
        ).map { $0.floats ?? [] }
    }
}
