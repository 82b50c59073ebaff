import Foundation
import Testing
import VisemeTestSupport
import VisemeFFmpeg
@testable import Viseme
@testable import VisemeModels

/// A copy of the inherited family's trained pack, to be broken on purpose.
struct BrokenPack {
    static let original = Repository.inheritedRobin

    let url: URL

    /// Copies the pack into `folder`.
    init(in folder: URL) throws {
        url = folder.appending(path: "broken.avatar")
        try PackCopy.make(of: Self.original, at: url)
    }

    /// Changes `avatar.json`.
    func edit(_ change: (inout AvatarManifest) throws -> Void) throws {
        let file = url.appending(path: "avatar.json")
        var manifest = try JSONDecoder().decode(AvatarManifest.self, from: Data(contentsOf: file))
        try change(&manifest)
        try JSONEncoder().encode(manifest).write(to: file)
    }

    /// Takes the golden files out of the manifest, as in an imported pack.
    func forgetGoldens() throws {
        try edit { ($0.golden, $0.goldenSpeech) = (nil, nil) }
    }

    /// Changes a model's network; the manifest gets the new file's hash.
    func change(
        _ role: ModelRole, keepingMetadata: Bool = false, _ change: (inout ModelGraph) throws -> Void
    ) throws {
        let model = try OpenedModel(at: try Avatar(contentsOf: url).model(role).url)
        var graph = try model.network().graph.folded()
        graph.metadata = keepingMetadata ? model.metadata : [:]
        try change(&graph)
        try replace(role, with: graph)
    }

    /// Puts a network with first values in a model's place.
    func forgetTraining(_ role: ModelRole, seed: UInt64) throws {
        let (_, family) = try OpenedModel(at: try Avatar(contentsOf: url).model(role).url).network()
        try replace(role, with: .fresh(family, seed: seed))
    }

    private func replace(_ role: ModelRole, with graph: ModelGraph) throws {
        let data = try ONNXWriter.data(graph)
        try edit { manifest in
            let index = try #require(manifest.models.firstIndex { $0.role == role })
            try data.write(to: url.appending(path: manifest.models[index].file))
            manifest.models[index].sha256 = ModelFile.sha256(of: data)
        }
    }

    /// Replaces the template by images of its first frames with other colours: (blue, green, red) → the same.
    func repaint(frames: Int, _ colour: (Int, Int, Int) -> (Int, Int, Int)) async throws {
        struct Crops: Codable { var squares: [[Int]] }
        let avatar = try Avatar(contentsOf: url)
        let template = try await FFmpeg().template(at: avatar.member(avatar.manifest.template), memory: 0)
        let writer = try await FFmpeg().writer(
            VideoRequest(url: url.appending(path: "frames"), width: template.width, height: template.height))
        for index in 0..<frames {
            var image = try await template.frame(at: index).image()
            for i in stride(from: 0, to: image.bytes.count, by: 3) {
                let (blue, green, red) = colour(
                    Int(image.bytes[i]), Int(image.bytes[i + 1]), Int(image.bytes[i + 2]))
                (image.bytes[i], image.bytes[i + 1], image.bytes[i + 2]) = (UInt8(blue), UInt8(green), UInt8(red))
            }
            try await writer.append(image)
        }
        _ = try await writer.finish()
        let file = url.appending(path: "crops.json")
        var crops = try JSONDecoder().decode(Crops.self, from: Data(contentsOf: file))
        crops.squares = Array(crops.squares.prefix(frames))
        try JSONEncoder().encode(crops).write(to: file)
        try edit { ($0.template, $0.frames, $0.idle) = ("frames/%06d.png", frames, nil) }
    }

    /// Moves every crop square, inside the frame.
    func moveSquares(x: Int, y: Int) throws {
        struct Crops: Codable { var squares: [[Int]] }
        let file = url.appending(path: "crops.json")
        var crops = try JSONDecoder().decode(Crops.self, from: Data(contentsOf: file))
        crops.squares = crops.squares.map { [$0[0] + x, $0[1] + y, $0[2] + x, $0[3] + y] }
        try JSONEncoder().encode(crops).write(to: file)
    }

    /// Golden windows of a front end with the mel scale of the Hidden Markov Model Toolkit.
    func writeToolkitWindows() throws {
        let golden = try #require(try Avatar(contentsOf: url).manifest.goldenSpeech)
        let samples = try FeatureDump(at: url.appending(path: golden.samples)).values
        let columns = ToolkitMel.columns(of: samples)
        var windows: [Float] = []
        for index in golden.melWindowIndices {
            let start = min(16 * index / 5, columns.count - 16)
            for band in 0..<80 { windows += columns[start..<start + 16].map { $0[band] } }
        }
        try windows.withUnsafeBytes { Data($0) }.write(to: url.appending(path: golden.melWindows))
    }
}

extension ModelGraph {
    /// A network as PyTorch initialises it: U(−1/√fan_in, 1/√fan_in) in steps of 2⁻²³ of that, batch norms folded.
    static func fresh(_ family: ModelFamily, seed: UInt64) throws -> ModelGraph {
        var network = NetworkBuilder(outline: ())
        var graph =
            switch family {
            case .audioEncoder: try AudioEncoderArchitecture.graph(&network)
            case .generator(let architecture): try architecture.graph(&network)
            case .compact: throw VisemeError(.unsupported, "A \(family.text) has no layers of its own here.")
            }
        for (index, node) in graph.nodes.enumerated() {
            switch node.operation {
            case .convolution:
                let shape = graph.weights[node.inputs[1]]?.shape ?? []
                for (offset, name) in node.inputs.dropFirst().enumerated() {
                    let values = Self.firstValues(
                        graph.weights[name]?.count ?? 0, of: shape, seed: seed &* 1000 &+ UInt64(2 * index + offset))
                    graph.setFloats(of: name, values)
                }
            case .batchNormalisation:
                for (name, value) in zip(node.inputs.dropFirst(), [1, 0, 0, 1] as [Float]) {
                    graph.setFloats(of: name, Array(repeating: value, count: graph.weights[name]?.count ?? 0))
                }
            default: continue
            }
        }
        return graph.folded()
    }

    /// Values that PyTorch's generator can draw for a layer with weights of this shape.
    static func firstValues(_ count: Int, of shape: [Int], seed: UInt64) -> [Float] {
        let inputs = Double(shape.dropFirst().reduce(1, *))
        let bound = Float((3.0).squareRoot() * ((2.0 / 6.0).squareRoot() / inputs.squareRoot()))
        return randomFloats(count, in: 0...1, seed: seed).map { $0 * (bound + bound) - bound }
    }

    mutating func setFloats(of name: String, _ values: [Float]) {
        guard let shape = weights[name]?.shape else { return }
        weights[name] = StoredTensor(name: name, shape: shape, floats: values)
    }

    /// Changes the weights, and perhaps the bias, of a convolution; `change` gets values and shape.
    mutating func change(
        _ layer: String, bias: Bool = false, _ change: (inout [Float], [Int]) throws -> Void
    ) throws {
        let node = try #require(nodes.first { $0.name == layer }, "no layer \(layer)")
        for name in node.inputs.dropFirst().prefix(bias ? 2 : 1) {
            let weight = try #require(weights[name])
            var values = weight.floats()
            try change(&values, weight.shape)
            setFloats(of: name, values)
        }
    }

    /// Puts other numbers of the same size into a layer: first values that went through an untouched batch norm, or none
    /// that PyTorch can draw.
    mutating func reinitialise(_ layer: String, drawable: Bool = true) throws {
        try change(layer) { values, shape in
            if drawable {
                let scale = 1 / (1 + Float(1e-5)).squareRoot()
                values = Self.firstValues(values.count, of: shape, seed: 7).map { $0 * scale }
            } else {
                let largest = values.reduce(0) { max($0, abs($1)) }
                values = randomFloats(values.count, in: -1...1, seed: 7).map { $0 * $0 * $0 * largest }
            }
        }
    }

    /// Moves every kernel some way towards noise of the same size.
    mutating func disturb(_ share: Float) throws {
        for (index, node) in nodes.enumerated() {
            guard case .convolution = node.operation, let weight = weights[node.inputs[1]] else { continue }
            let values = weight.floats()
            let size = (values.reduce(0) { $0 + $1 * $1 } / Float(values.count)).squareRoot() * Float(3).squareRoot()
            let noise = randomFloats(values.count, in: -size...size, seed: index)
            setFloats(of: weight.name, zip(values, noise).map { $0 * (1 - share) + $1 * share })
        }
    }

    /// Makes a generator of RGB out of one of BGR.
    mutating func exchangeColours() throws {
        try change("inc.inconv.0.conv.0") { values, shape in
            for start in stride(from: 0, to: values.count, by: shape[1]) {
                values.swapAt(start, start + 2)
                values.swapAt(start + 3, start + 5)
            }
        }
        try change("outc.conv", bias: true) { values, shape in
            let each = values.count / shape[0]
            for i in 0..<each { values.swapAt(i, 2 * each + i) }
        }
    }
}

/// The front end of ports that took another mel scale: 2595·log₁₀(1 + f/700).
private enum ToolkitMel {
    static func columns(of samples: [Float]) -> [[Float]] {
        var signal = [Double](repeating: 0, count: 400)
        var previous = 0.0
        for sample in samples {
            signal.append(Double(sample) - 0.97 * previous)
            previous = Double(sample)
        }
        signal += [Double](repeating: 0, count: 400)
        let low = mel(55)
        let edges = (0..<82).map { 700 * (pow(10, (low + (mel(7600) - low) * Double($0) / 81) / 2595) - 1) }
        let transform = FourierTransform(length: 800)
        return stride(from: 0, through: signal.count - 800, by: 200).map { start in
            let windowed = (0..<800).map { signal[start + $0] * 0.5 * (1 - cos(2 * Double.pi * Double($0) / 800)) }
            var spectrum = [Double](repeating: 0, count: 401)
            windowed.withUnsafeBufferPointer { input in
                spectrum.withUnsafeMutableBufferPointer { transform.magnitudes(of: input, into: $0) }
            }
            return (0..<80).map { band in
                let (left, centre, right) = (edges[band], edges[band + 1], edges[band + 2])
                var sum = 0.0
                for (bin, magnitude) in spectrum.enumerated() {
                    let hertz = Double(bin) * 20
                    sum += max(0, min((hertz - left) / (centre - left), (right - hertz) / (right - centre))) * magnitude
                }
                let level = 20 * log10(max(1e-5, sum * 2 / (right - left))) - 20
                return Float(min(4, max(-4, 8 * (level + 100) / 100 - 4)))
            }
        }
    }

    private static func mel(_ hertz: Double) -> Double { 2595 * log10(1 + hertz / 700) }
}
