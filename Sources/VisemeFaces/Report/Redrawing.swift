import Viseme

/// Draws an avatar's mouth into pictures of a clip.
struct Redrawing: Sendable {
    let avatar: Avatar
    let generator: any Generator
    let crop: PixelSize

    /// What is given to the generator for one frame.
    struct Given: Sendable {
        /// The clip's frame, and its crop.
        var frame: Image
        var area: PixelArea
        var filmed: Image
        /// The crop that the drawing is put into, and the generator's image.
        var crop: Image
        var input: [Float]
    }

    /// Around the mask the picture is the clip's, inside it is another moment's: what rendering gives with the template's own
    /// frame, where around the mask everything fits and in the mask there is some other mouth.
    func given(_ frame: Image, corner: SIMD2<Int>, reference: Image) -> Given {
        let area = PixelArea(x: corner.x, y: corner.y, width: crop.width, height: crop.height)
        let filmed = frame.image(of: area)
        let compositor = avatar.compositor
        guard let mask = avatar.mask else {
            // The inherited family sees the reference's whole roi beside the masked one of the frame.
            let target = compositor.crop(frame, at: area)
            let whole = PixelArea(x: 0, y: 0, width: reference.width, height: reference.height)
            let other = compositor.roi(of: compositor.crop(reference, at: whole))
            let input = compositor.generatorInput(roi: other, masked: compositor.masked(compositor.roi(of: target)))
            return Given(frame: frame, area: area, filmed: filmed, crop: target, input: input)
        }
        var mixed = filmed
        for pixel in 0..<crop.count where mask.levels[pixel] > 0 {
            let share = Float(mask.levels[pixel]) / 255
            for i in 3 * pixel..<3 * pixel + 3 {
                let (wanted, other) = (Float(filmed.bytes[i]), Float(reference.bytes[i]))
                mixed.bytes[i] = UInt8((wanted + (other - wanted) * share).rounded(.toNearestOrEven))
            }
        }
        return Given(
            frame: frame, area: area, filmed: filmed, crop: mixed,
            input: compositor.generatorInput(roi: mixed, masked: compositor.masked(mixed)))
    }

    /// The frame with the mouth of a feature window.
    func draw(_ given: Given, _ featureWindow: [Float]) async throws -> Image {
        let mouth = try await generator.generate(image: given.input, audio: featureWindow)
        return try avatar.compositor.paste(mouth: mouth, crop: given.crop, into: given.frame, at: given.area)
    }
}
