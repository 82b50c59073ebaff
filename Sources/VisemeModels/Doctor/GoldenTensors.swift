import Foundation
import Viseme

extension PackProbes {
    /// How a network's answer compares with the training framework's, and what explains a difference.
    enum GoldenAnswer {
        case absent, equal, exchangedColours, otherMask, different
    }

    /// Runs a network on its golden inputs. Of several goldens the first one that differs counts.
    func goldenAnswer(of role: ModelRole, _ report: inout DoctorReport) async throws -> GoldenAnswer {
        var answer = GoldenAnswer.absent
        for golden in avatar.manifest.golden ?? [] where golden.role == role {
            let expected: [Float]
            var network: GoldenNetwork
            do {
                expected = try FeatureDump(at: avatar.member(golden.output)).values
                network = try GoldenNetwork(
                    golden, of: avatar, encoder: encoder, generator: generator, articulator: articulator)
            } catch {
                report.bad(.files, "\(error)", "Restore the pack's golden files.")
                return .different
            }
            let actual = try await network.answer()
            guard actual.count == expected.count, !actual.isEmpty else {
                let counts = "\(golden.output) has \(expected.count) values, the \(role.rawValue) gives \(actual.count)"
                report.bad(.golden, counts, "Restore the pack's golden files.")
                return .different
            }
            let difference = TensorDifference("\(role.rawValue) on its golden input", expected, actual)
            if difference.maximum <= golden.tolerance {
                let text = TensorDifference.text(difference.maximum)
                report.good(.golden, "\(role.rawValue): what the training framework gave, within \(text)")
                answer = .equal
                continue
            }
            report.bad(
                .golden, "not what the training framework gave: \(difference.line)",
                difference.remark
                    ?? "Compare it with its checkpoint: viseme compare CHECKPOINT.pth MODEL names the first layer that differs."
            )
            guard role == .generator else { return .different }
            func isGolden(_ values: [Float]) -> Bool {
                TensorDifference("", expected, values).maximum <= golden.tolerance
            }
            let exchanged = try await network.answer(exchangingColours: true)
            if isGolden(Planes.exchanged(exchanged, size: network.geometry.roi)) { return .exchangedColours }
            if let training = avatar.family.geometry(roi: avatar.manifest.geometry.roi), training.mask != nil {
                network.geometry.mask = training.mask
                if isGolden(try await network.answer()) { return .otherMask }
            }
            return .different
        }
        if answer == .absent { report.skip(.golden, "the pack has none for the \(role.rawValue)") }
        return answer
    }
}

/// A network with its golden inputs.
private struct GoldenNetwork {
    let role: ModelRole
    let first: Data
    let audio: [Float]
    let encoder: any AudioEncoder
    let generator: any Generator
    let articulator: (any Articulator)?
    let family: GeneratorFamily
    var geometry: CropGeometry
    let mask: BlendMask?

    init(
        _ golden: AvatarManifest.Golden, of avatar: Avatar, encoder: any AudioEncoder, generator: any Generator,
        articulator: (any Articulator)?
    ) throws {
        role = golden.role
        family = avatar.family
        (geometry, mask) = (avatar.manifest.geometry, avatar.mask)
        (self.encoder, self.generator, self.articulator) = (encoder, generator, articulator)
        let wanted = role == .generator ? 2 : 1
        guard golden.inputs.count == wanted else {
            throw VisemeError(
                .badData,
                "avatar.json: the golden of the \(role.rawValue) has \(golden.inputs.count) inputs, expected \(wanted)."
            )
        }
        first = try Data(contentsOf: avatar.member(golden.inputs[0]))
        audio = try FeatureDump(at: avatar.member(golden.inputs[wanted - 1])).values
        let size = geometry.roi
        switch role {
        case .audioEncoder:
            guard !audio.isEmpty, audio.count % family.melWindowSize == 0 else {
                throw VisemeError(
                    .badData,
                    "'\(golden.inputs[0])' has \(audio.count) values, expected mel windows of \(family.melWindowSize).")
            }
        case .articulator:
            guard articulator != nil, audio.count == family.featureWindow.count else {
                throw VisemeError(
                    .badData,
                    "'\(golden.inputs[0])' has \(audio.count) values, expected an articulator's feature window of "
                        + "\(family.featureWindow.count).")
            }
        case .generator:
            guard first.count == size.count * 3, audio.count == family.featureWindow.count else {
                throw VisemeError(
                    .badData,
                    "The generator's golden inputs have \(first.count) bytes and \(audio.count) values, expected a roi of "
                        + "\(size.height)×\(size.width)×3 bytes and a feature window of \(family.featureWindow.count) values."
                )
            }
        }
    }

    func answer(exchangingColours: Bool = false) async throws -> [Float] {
        if role == .audioEncoder { return try await encoder.encode(audio, count: audio.count / family.melWindowSize) }
        if role == .articulator { return try await articulator?.articulate(audio) ?? [] }
        let roi = Image(width: geometry.roi.width, height: geometry.roi.height, bytes: [UInt8](first))
        let compositor = Compositor(geometry, family.composition, mask: mask)
        let image = compositor.generatorInput(roi: roi, masked: compositor.masked(roi))
        return try await generator.generate(
            image: exchangingColours ? Planes.exchanged(image, size: geometry.roi) : image, audio: audio)
    }
}

/// Pictures as the generator has them: planes of blue, green and red.
enum Planes {
    /// Blue and red exchanged, in every three planes of a size.
    static func exchanged(_ planes: [Float], size: PixelSize) -> [Float] {
        let plane = size.count
        var result: [Float] = []
        result.reserveCapacity(planes.count)
        for start in stride(from: 0, to: planes.count / plane, by: 3) {
            for c in [2, 1, 0] { result += planes[(start + c) * plane..<(start + c + 1) * plane] }
        }
        return result
    }
}
