/// Sizes of the crop that a generator was trained with, in pixels.
///
/// The crop of a frame is resized to `crop`; the roi is its middle, without the border; inside the roi the mask rectangle is black
/// in the masked roi. Where the composition is `.blended`, crop and roi are one and the mask is a picture of the pack.
public struct CropGeometry: Sendable, Equatable, Codable {
    /// Size of the resized crop.
    public var crop: PixelSize
    /// Size of the roi, the generator's image size.
    public var roi: PixelSize
    /// Pixels of real image around the roi.
    public var border: Int
    /// The masked rectangle inside the roi: x1, y1, x2, y2, ends exclusive; nil where the mask is a picture.
    public var mask: [Int]?

    /// Makes a geometry of squares; `validate()` says whether it makes sense.
    public init(crop: Int, roi: Int, border: Int, mask: [Int]) {
        self.crop = PixelSize(square: crop)
        self.roi = PixelSize(square: roi)
        self.border = border
        self.mask = mask
    }

    /// Makes the geometry of crops that are copied as they are: crop and roi of one size, no border, no mask rectangle.
    public init(copied size: PixelSize) {
        (crop, roi, border) = (size, size, 0)
    }

    /// Checks that the roi and the mask lie inside the crop.
    ///
    /// - Parameter usual: The usual numbers, for the hint.
    /// - Throws: `.badData` naming the number that does not fit.
    public func validate(usual: CropGeometry? = nil) throws {
        let sides = 16...2048
        guard sides.contains(roi.width), sides.contains(roi.height), (0...256).contains(border),
            crop.width == roi.width + 2 * border, crop.height == roi.height + 2 * border
        else {
            throw VisemeError(
                .badData, "The geometry says crop \(crop), roi \(roi), border \(border): crop must be roi + 2·border.",
                hint: usual.map { "Usual are crop \($0.crop), roi \($0.roi), border \($0.border)." })
        }
        guard let mask else { return }
        guard mask.count == 4, mask[0] >= 0, mask[1] >= 0, mask[0] < mask[2], mask[1] < mask[3],
            mask[2] <= roi.width, mask[3] <= roi.height
        else {
            throw VisemeError(
                .badData, "The mask rectangle \(mask) is not [x1, y1, x2, y2] inside the \(roi) roi.",
                hint: usual?.mask.map { "The usual mask is \($0)." })
        }
    }

    /// Checks, too, that a generator of the family can have these sizes, and that the mask has the family's form.
    func validate(for family: GeneratorFamily) throws {
        try validate(usual: family.geometry)
        guard family.generator.pictures.contains(roi) else {
            throw VisemeError(
                .badData,
                "The geometry says roi \(roi), the family \"\(family.name)\" has \(family.generator.pictures).",
                hint: "Usual are \(family.geometry.roi).")
        }
        switch family.composition {
        case .insideBorder:
            guard mask != nil else {
                throw VisemeError(
                    .badData, "The geometry has no \"mask\": the rectangle that the generator redraws.",
                    hint: family.geometry.mask.map { "The usual mask is \($0)." })
            }
        case .blended:
            guard border == 0, mask == nil else {
                throw VisemeError(
                    .badData,
                    "The geometry says border \(border), mask \(mask.map { "\($0)" } ?? "none"): crops of the family "
                        + "\"\(family.name)\" have no border, and their mask is a picture.",
                    hint: "Name the picture in \"mask\" of avatar.json.")
            }
        }
    }
}
