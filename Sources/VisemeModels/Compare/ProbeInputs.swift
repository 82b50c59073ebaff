import Foundation
public import Viseme

/// Fixed inputs for proving and comparing models: the same numbers on every machine.
public struct ProbeInputs: Sendable {
    /// What it is: "seeded noise", "speech".
    public var name: String
    /// Values of every input, in the graph's order, for a batch of one.
    public var values: [[Float]]

    /// Inputs for a network.
    ///
    /// The encoder gets noise in the mel's range, digital silence and windows of a synthetic voice. The generator gets
    /// smooth pictures with the mask of its geometry, with feature windows like a trained encoder's and with silent ones.
    ///
    /// - Parameter graph: Whose inputs' order is wanted; nil for the contract's.
    public static func all(for graph: ModelGraph?, family: ModelFamily) -> [ProbeInputs] {
        switch family {
        case .audioEncoder, .compact(.audioEncoder, _): return sounds(family.contract)
        case .compact(.articulator, _):
            return heard(family.contract.featureWindow.count).map { ProbeInputs(name: $0.name, values: [$0.values]) }
        case .generator(let generator):
            let image = picture(PixelSize(square: generator.imageSize))
            return pictures(image, generator.audio.shape.reduce(1, *), imageFirst: graph?.isImageFirst ?? true)
        case .compact(.generator, let size):
            return pictures(
                picture(size ?? family.contract.geometry.roi), family.contract.featureWindow.count, imageFirst: true)
        }
    }

    /// Mel windows for the audio encoder of a family.
    static func sounds(_ family: GeneratorFamily) -> [ProbeInputs] {
        let (speech, size) = (speechMelWindows(family), family.melWindowSize)
        var probes = [
            ProbeInputs(name: "seeded noise", values: [noise(size, seed: 1).map { $0 * 6 + family.mel.silence }]),
            ProbeInputs(name: "digital silence", values: [family.silentMelWindow]),
        ]
        for index in [7, 15, 25] where (index + 1) * size <= speech.count {
            probes.append(
                ProbeInputs(
                    name: "speech, window \(index)", values: [Array(speech[index * size..<(index + 1) * size])]))
        }
        return probes
    }

    /// A picture with two sounds of `count` values.
    private static func pictures(_ image: [Float], _ count: Int, imageFirst: Bool) -> [ProbeInputs] {
        heard(count).map { name, sound in
            ProbeInputs(name: name, values: imageFirst ? [image, sound] : [sound, image])
        }
    }

    /// Two feature windows of `count` values.
    private static func heard(_ count: Int) -> [(name: String, values: [Float])] {
        // A trained encoder's rows: 55 % zeros, the rest up to about 4.
        let rows = noise(count, seed: 3).map { $0 < 0.55 ? 0 : ($0 - 0.55) * 6 }
        return [("seeded rows", rows), ("rows of zeros", [Float](repeating: 0, count: count))]
    }

    /// Even numbers in 0…1 from a 64-bit linear congruential generator (Knuth's MMIX constants).
    static func noise(_ count: Int, seed: UInt64) -> [Float] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(state >> 40) * 0x1p-24
        }
    }

    /// Smooth colours with the lower planes masked as the contract's §2 says: (6, H, W).
    static func picture(_ size: PixelSize) -> [Float] {
        let mask = GeneratorFamily.syncTalk2D.geometry(roi: size)?.mask ?? [0, 0, 0, 0]
        return (0..<6 * size.count).map { i in
            let (plane, y, x) = (i / size.count, i / size.width % size.height, i % size.width)
            if plane >= 3, x >= mask[0], x < mask[2], y >= mask[1], y < mask[3] { return 0 }
            let wave =
                sin(Float(x) * 0.05 + Float(plane % 3)) * cos(Float(y) * 0.04) + 0.4 * sin(Float(x + 2 * y) * 0.21)
            return 0.5 + 0.33 * wave
        }
    }

    /// Mel windows of 1.5 s of something speech-like: a harmonic voice that comes three times a second. (n, 80, 16).
    public static func speechMelWindows(_ family: GeneratorFamily = .syncTalk2D) -> [Float] {
        let rate = family.mel.sampleRate
        let samples = (0..<rate * 3 / 2).map { i -> Float in
            let t = Double(i) / Double(rate)
            let pitch = 120 + 20 * sin(2 * Double.pi * 2 * t)
            let voice = (1..<24).reduce(0.0) { $0 + sin(2 * Double.pi * Double($1) * pitch * t) / Double($1) }
            return Float(voice * (0.5 - 0.5 * cos(2 * Double.pi * 3 * t)) * 0.08)
        }
        var timeline = SpeechTimeline(family)
        timeline.append(samples)
        timeline.finish()
        return timeline.takeMelWindows(limit: .max).melWindows
    }
}

extension ModelGraph {
    /// Whether a generator's image comes before its audio.
    var isImageFirst: Bool {
        guard let first = inputs.first else { return false }
        let planes = GeneratorFamily.syncTalk2D.generator[.image].description().shape[1]
        return first.shape.dropFirst().first == planes
    }
}
