/// Networks of one contract: what a model family hears, how its tensors look, and how its pictures are put together.
///
/// Everything that is the same for all packs of a family is here, once; what differs from pack to pack is in the pack's
/// `AvatarManifest`. The rest of the engine asks the family and knows no number. `Viseme.docc/AddingAFamily.md` says what a further
/// family needs.
public struct GeneratorFamily: Sendable {
    /// How the drawn square becomes a part of the picture.
    public enum Composition: Sendable, Equatable {
        /// The drawn roi inside the crop's real border, the whole resized to the crop square and pasted.
        case insideBorder
        /// The drawn roi over the crop, by the pack's mask: template + (drawn − template)·mask. Crops are copied, all of one size.
        case blended
    }

    /// The name in `avatar.json`.
    public let name: String
    /// Samples → mel columns.
    public let mel: MelFrontEnd
    /// Video frames a second. A feature row belongs to each.
    public let frameRate: Int
    /// Mel columns → the audio encoder's input.
    public let melWindow: MelWindow
    /// Feature rows → the generator's audio input.
    public let featureWindow: FeatureWindow
    /// The audio encoder's inputs and outputs.
    public let audioEncoder: TensorContract
    /// The generator's inputs and outputs.
    public let generator: TensorContract
    /// The articulator's inputs and outputs; nil for a family without one.
    public let articulator: TensorContract?
    /// The sizes and masks that models were trained with, the usual one first.
    public let geometries: [CropGeometry]
    /// The mask of flattened packages, in the roi of the usual geometry; nil for a family without such packages.
    public let flattenedMask: [Int]?
    /// The order of colours in the generator's tensors.
    public let colourOrder: AvatarManifest.ColourOrder
    /// The least and the largest value of a colour in the generator's tensors.
    public let valueRange: [Double]
    /// How the drawn square becomes a part of the picture.
    public let composition: Composition

    /// Values in a mel window.
    public var melWindowSize: Int { mel.bandCount * melWindow.columns }

    /// The mel window of digital silence.
    public var silentMelWindow: [Float] { [Float](repeating: mel.silence, count: melWindowSize) }

    /// The inputs and outputs of the model with a role; nil for a role that the family has not.
    public func contract(of role: ModelRole) -> TensorContract? {
        switch role {
        case .audioEncoder: audioEncoder
        case .generator: generator
        case .articulator: articulator
        }
    }

    /// The only size of the crops in a template; nil where they are squares of any size, which are resized.
    func cropSize(_ geometry: CropGeometry) -> PixelSize? { composition == .blended ? geometry.crop : nil }

    /// The usual geometry.
    public var geometry: CropGeometry { geometries[0] }

    /// The geometry that models of an image size were trained with; nil for a size that no known model has.
    public func geometry(roi: PixelSize) -> CropGeometry? { geometries.first { $0.roi == roi } }
}

extension GeneratorFamily: Equatable {
    /// Families are told apart by their names.
    public static func == (a: GeneratorFamily, b: GeneratorFamily) -> Bool { a.name == b.name }
}
