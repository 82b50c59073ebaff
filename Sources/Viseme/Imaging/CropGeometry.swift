/// Sizes of the crop that a generator was trained with, in pixels.
///
/// The reference's numbers: the crop square becomes 328×328; the roi is its middle 320×320; inside the roi the rectangle
/// [5, 315) × [5, 310) is black in the masked roi. The 160-pixel legacy variant has 168, 160, 4 and [5, 155) × [5, 150).
public struct CropGeometry: Sendable, Equatable, Codable {
    /// Side of the resized crop square.
    public var crop: Int
    /// Side of the roi, the generator's image size.
    public var roi: Int
    /// Pixels of real image around the roi.
    public var border: Int
    /// The masked rectangle inside the roi: x1, y1, x2, y2, ends exclusive.
    public var mask: [Int]

    /// The geometry of SyncTalk_2D's 328-pixel models.
    public static let standard = CropGeometry(crop: 328, roi: 320, border: 4, mask: [5, 5, 315, 310])

    /// The geometry that models of an image size were trained with; nil for a size that no known model has.
    public static func training(roi: Int) -> CropGeometry? {
        switch roi {
        case 320: .standard
        case 160: CropGeometry(crop: 168, roi: 160, border: 4, mask: [5, 5, 155, 150])
        default: nil
        }
    }

    /// Makes a geometry; `validate()` says whether it makes sense.
    public init(crop: Int, roi: Int, border: Int, mask: [Int]) {
        self.crop = crop
        self.roi = roi
        self.border = border
        self.mask = mask
    }

    /// Checks that the roi and the mask lie inside the crop.
    ///
    /// - Throws: `.badData` naming the number that does not fit.
    public func validate() throws {
        guard (16...2048).contains(roi), (0...256).contains(border), crop == roi + 2 * border else {
            throw VisemeError(
                .badData, "The geometry says crop \(crop), roi \(roi), border \(border): crop must be roi + 2·border.",
                hint: "The reference's numbers are crop 328, roi 320, border 4.")
        }
        guard mask.count == 4, mask[0] >= 0, mask[1] >= 0, mask[0] < mask[2], mask[1] < mask[3], mask[2] <= roi,
            mask[3] <= roi
        else {
            throw VisemeError(
                .badData, "The mask rectangle \(mask) is not [x1, y1, x2, y2] inside the \(roi)-pixel roi.",
                hint: "The reference's mask is [5, 5, 315, 310].")
        }
    }
}
