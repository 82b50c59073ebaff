/// Sizes of the crop that a generator was trained with, in pixels.
///
/// The crop square is resized to the crop; the roi is its middle, without the border; inside the roi the mask rectangle is black
/// in the masked roi.
public struct CropGeometry: Sendable, Equatable, Codable {
    /// Side of the resized crop square.
    public var crop: Int
    /// Side of the roi, the generator's image size.
    public var roi: Int
    /// Pixels of real image around the roi.
    public var border: Int
    /// The masked rectangle inside the roi: x1, y1, x2, y2, ends exclusive.
    public var mask: [Int]

    /// Makes a geometry; `validate()` says whether it makes sense.
    public init(crop: Int, roi: Int, border: Int, mask: [Int]) {
        self.crop = crop
        self.roi = roi
        self.border = border
        self.mask = mask
    }

    /// Checks that the roi and the mask lie inside the crop.
    ///
    /// - Parameter usual: The usual numbers, for the hint.
    /// - Throws: `.badData` naming the number that does not fit.
    public func validate(usual: CropGeometry? = nil) throws {
        guard TensorContract.sides.contains(roi), (0...256).contains(border), crop == roi + 2 * border else {
            throw VisemeError(
                .badData, "The geometry says crop \(crop), roi \(roi), border \(border): crop must be roi + 2·border.",
                hint: usual.map { "Usual are crop \($0.crop), roi \($0.roi), border \($0.border)." })
        }
        guard mask.count == 4, mask[0] >= 0, mask[1] >= 0, mask[0] < mask[2], mask[1] < mask[3], mask[2] <= roi,
            mask[3] <= roi
        else {
            throw VisemeError(
                .badData, "The mask rectangle \(mask) is not [x1, y1, x2, y2] inside the \(roi)-pixel roi.",
                hint: usual.map { "The usual mask is \($0.mask)." })
        }
    }
}
