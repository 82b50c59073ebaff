public import Foundation

/// `avatar.json`, format 1: the description of a pack. Nothing is loaded that it does not describe.
public struct AvatarManifest: Sendable, Codable, Equatable {
    /// The order in which a clip's frames are shown.
    public enum TemplateOrder: String, Sendable, Codable, CaseIterable {
        /// 1, 2, …, n−1, n−2, …, 1, 0, 1, …: forth and back, so that no clip end is ever seen.
        case pingPong = "ping-pong"
    }

    /// The order of colour channels in the generator's tensors.
    public enum ColourOrder: String, Sendable, Codable, CaseIterable {
        /// Blue first: the reference's order.
        case bgr = "BGR"
    }

    /// Images that a pack brings ready-made; they are used as given instead of being cut from the template.
    public struct Precut: Sendable, Codable, Equatable {
        /// Pattern of the resized crops, such as `crops/%06d.jpg`.
        public var crops: String
        /// Pattern of the rois.
        public var rois: String
        /// Pattern of the masked rois.
        public var masked: String

        /// Names the patterns.
        public init(crops: String, rois: String, masked: String) {
            self.crops = crops
            self.rois = rois
            self.masked = masked
        }
    }

    /// The picture of what is drawn of the crop, where the family's composition is `.blended`.
    public struct Mask: Sendable, Codable, Equatable {
        /// A binary PGM of 8 bits, such as `mask.pgm`: see `BlendMask`.
        public var file: String
        /// Its SHA-256, 64 hexadecimal digits.
        public var sha256: String

        /// Names a picture.
        public init(file: String, sha256: String) {
            self.file = file
            self.sha256 = sha256
        }
    }

    /// Fixed inputs of a model and what the training framework answered.
    public struct Golden: Sendable, Codable, Equatable {
        /// The model.
        public var role: ModelRole
        /// Raw little-endian files, one an input.
        public var inputs: [String]
        /// Raw little-endian Float32.
        public var output: String
        /// The largest absolute difference allowed.
        public var tolerance: Double
    }

    /// What the reference made of some speech at every stage before the networks: raw little-endian files of the pack.
    public struct GoldenSpeech: Sendable, Codable, Equatable {
        /// Float32 samples, mono, 16 kHz.
        public var samples: String
        /// Mel windows of the samples, (count, bands, columns) Float32.
        public var melWindows: String
        /// Which mel windows those are.
        public var melWindowIndices: [Int]
        /// The video frame of `featureWindow`.
        public var frame: Int
        /// The feature window of `frame`, (rows, row width) Float32.
        public var featureWindow: String
        /// The template frame of `roi`.
        public var templateFrame: Int
        /// The roi of `templateFrame`, (height, width, 3) bytes, B G R.
        public var roi: String

        private enum CodingKeys: String, CodingKey {
            case samples, frame, featureWindow, templateFrame, roi
            case melWindows = "windows"
            case melWindowIndices = "windowIndices"
        }
    }

    /// Where the models came from.
    public struct Provenance: Sendable, Codable, Equatable {
        /// SHA-256 of each source checkpoint by file name.
        public var checkpoints: [String: String]?
        /// The program that made the pack.
        public var converter: String?
        /// What the models were trained on, in words.
        public var trainingData: String?

        /// States a provenance.
        public init(checkpoints: [String: String]? = nil, converter: String? = nil, trainingData: String? = nil) {
            self.checkpoints = checkpoints
            self.converter = converter
            self.trainingData = trainingData
        }
    }

    /// The format's number: 1.
    public var format: Int
    /// The family of the models; nil, and not in the file, for SyncTalk_2D.
    public var family: String?
    /// The avatar's name.
    public var name: String
    /// Frames a second: the family's.
    public var fps: Int
    /// Width of the template frames in pixels.
    public var width: Int
    /// Height of the template frames in pixels.
    public var height: Int
    /// Number of template frames.
    public var frames: Int
    /// The template: a video file, or a pattern of images such as `frames/%06d.jpg` (numbered from 0).
    public var template: String
    /// The file with one crop a frame, as [x1, y1, x2, y2].
    public var crops: String
    /// How the template repeats.
    public var templateOrder: TemplateOrder
    /// How a frame's feature rows are chosen.
    public var featureWindow: FeatureWindow.Choice
    /// Sizes of crop, roi, border and mask.
    public var geometry: CropGeometry
    /// What is drawn of the crop; nil, and not in the file, where the mask is a rectangle of the geometry.
    public var mask: Mask?
    /// The generator's channel order.
    public var colourOrder: ColourOrder
    /// The generator's value range: the family's.
    public var valueRange: [Double]
    /// The template frames that may be shown while there is no speech, first and past-the-last.
    public var idle: [Int]?
    /// Ready-made crops, rois and masked rois.
    public var precut: Precut?
    /// The licence of everything in the pack, as an SPDX identifier or in words.
    public var licence: String
    /// Whose likeness and voice this is, and that they agreed.
    public var consent: String
    /// Whether the person is drawn, not filmed.
    public var synthetic: Bool?
    /// The models; a pack may have none until one is given.
    public var models: [ModelDescription]
    /// Where the models came from.
    public var provenance: Provenance?
    /// Golden tensors.
    public var golden: [Golden]?
    /// Golden values of the stages before the networks.
    public var goldenSpeech: GoldenSpeech?

    /// Checks every number that the engine relies on.
    ///
    /// - Throws: `.badData` or `.unsupported` naming the key, the expected and the actual value.
    public func validate() throws {
        func require(
            _ condition: Bool, _ message: @autoclosure () -> String, _ code: VisemeError.Code = .badData
        ) throws {
            guard condition else { throw VisemeError(code, "avatar.json: \(message())") }
        }
        try require(format == 1, "\"format\" is \(format), this Viseme reads format 1.", .unsupported)
        let family: GeneratorFamily
        do {
            family = try GeneratorFamily.named(self.family)
        } catch let error as VisemeError {
            throw VisemeError(error.code, "avatar.json: \(error.message)", hint: error.hint)
        }
        try require(
            fps == family.frameRate,
            "\"fps\" is \(fps); the feature windows of this model family are defined at \(family.frameRate).",
            .unsupported)
        try require(
            family.featureWindow.choices.contains(featureWindow),
            "\"featureWindow\" is \"\(featureWindow.rawValue)\", the family \"\(family.name)\" has "
                + "\(family.featureWindow.choices.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")).", .unsupported)
        try require(
            colourOrder == family.colourOrder,
            "\"colourOrder\" is \"\(colourOrder.rawValue)\", expected \"\(family.colourOrder.rawValue)\".", .unsupported
        )
        try require(
            (16...8192).contains(width) && (16...8192).contains(height), "the size \(width)×\(height) is not 16…8192.")
        try require((1...10_000_000).contains(frames), "\"frames\" is \(frames), expected at least 1.")
        try require(
            valueRange == family.valueRange, "\"valueRange\" is \(valueRange), expected \(family.valueRange).",
            .unsupported)
        if let idle {
            try require(
                idle.count == 2 && idle[0] >= 0 && idle[0] < idle[1] && idle[1] <= frames,
                "\"idle\" is \(idle), expected [first, past-the-last] inside 0…\(frames).")
        }
        try geometry.validate(for: family)
        try validateMask(family)
        for role in ModelRole.allCases {
            let count = models.count { $0.role == role }
            try require(count <= 1, "\(count) models have the role \"\(role.rawValue)\", expected at most one.")
        }
        for model in models {
            try require(
                model.sha256.count == 64 && model.sha256.allSatisfy(\.isHexDigit),
                "\"sha256\" of '\(model.file)' is not 64 hexadecimal digits.")
        }
    }
}

extension AvatarManifest {
    private func validateMask(_ family: GeneratorFamily) throws {
        switch (family.composition, mask) {
        case (.insideBorder, nil): break
        case (.insideBorder, let mask?):
            throw VisemeError(
                .badData,
                "avatar.json: \"mask\" names '\(mask.file)', the family \"\(family.name)\" has a rectangle in \"geometry\" instead.",
                hint: "Take \"mask\" out, or correct \"family\".")
        case (.blended, nil):
            throw VisemeError(
                .badData,
                "avatar.json: \"mask\" is missing: the family \"\(family.name)\" needs a picture of what is drawn.",
                hint: "Add \"mask\": {\"file\": \"mask.pgm\", \"sha256\": \"…\"}.")
        case (.blended, let mask?):
            guard mask.sha256.count == 64, mask.sha256.allSatisfy(\.isHexDigit) else {
                throw VisemeError(
                    .badData, "avatar.json: \"sha256\" of '\(mask.file)' is not 64 hexadecimal digits.")
            }
            guard precut == nil else {
                throw VisemeError(
                    .unsupported,
                    "avatar.json: \"precut\" names ready-made crops, the family \"\(family.name)\" copies them from the template.",
                    hint: "Take \"precut\" out.")
            }
        }
    }

    /// Writes `avatar.json` into the folder of a pack.
    ///
    /// - Throws: when the folder cannot be written.
    public func write(into pack: URL) throws {
        try JSONEncoder.pack.encode(self).write(to: pack.appending(path: "avatar.json"))
    }

    /// Writes changed values into the `avatar.json` of a pack. Keys that this version of Viseme does not know stay.
    ///
    /// - Throws: when the file cannot be read or written.
    public func update(in pack: URL) throws {
        let url = pack.appending(path: "avatar.json")
        let old = try JSONSerialization.jsonObject(with: Data(contentsOf: url))
        let new = try JSONSerialization.jsonObject(with: JSONEncoder.pack.encode(self))
        let options: JSONSerialization.WritingOptions = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try JSONSerialization.data(withJSONObject: Self.overlay(new, on: old), options: options).write(to: url)
    }

    /// The new value, with the old one's keys that it lacks. Elements of arrays of one length belong together.
    private static func overlay(_ new: Any, on old: Any) -> Any {
        if let new = new as? [String: Any], let old = old as? [String: Any] {
            return old.merging(new) { overlay($1, on: $0) }
        }
        if let new = new as? [Any], let old = old as? [Any], new.count == old.count {
            return zip(new, old).map { overlay($0, on: $1) }
        }
        return new
    }
}

extension JSONEncoder {
    /// For the JSON files of a pack, which people read and compare.
    static var pack: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}
