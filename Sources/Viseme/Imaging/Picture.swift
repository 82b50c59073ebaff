/// A picture in whatever form its source keeps it, such as the 4:2:0 planes of a video.
///
/// Pixels are converted to B G R only where needed: most of a template frame goes into the video unconverted.
public protocol Picture: Sendable {
    /// Width in pixels.
    var width: Int { get }
    /// Height in pixels.
    var height: Int { get }
    /// The bytes that the picture occupies.
    var byteCount: Int { get }
    /// The pixels of a part, B G R. A part has the same pixels as the whole picture has there.
    ///
    /// - Parameter area: Inside the picture.
    func image(of area: PixelArea) throws -> Image
}

extension Picture {
    /// All pixels, B G R.
    public func image() throws -> Image { try image(of: PixelArea(x: 0, y: 0, width: width, height: height)) }

    /// The pixels of a part, found to be as many as were asked for.
    ///
    /// - Throws: `.internal` when this kind of picture gives another size: what follows counts on it.
    func checkedImage(of area: PixelArea) throws -> Image {
        let image = try image(of: area)
        guard image.width == area.width, image.height == area.height else {
            throw VisemeError(
                .internal,
                "A picture gave \(image.width)×\(image.height) pixels where \(area.width)×\(area.height) were asked for."
            )
        }
        return image
    }
}

extension Image: Picture {
    /// The length of `bytes`.
    public var byteCount: Int { bytes.count }

    /// A part of the image.
    public func image(of area: PixelArea) -> Image {
        precondition(area.x >= 0 && area.y >= 0 && area.x + area.width <= width && area.y + area.height <= height)
        if area.width == width, area.height == height { return self }
        let length = area.width * 3
        var part: [UInt8] = []
        part.reserveCapacity(length * area.height)
        for row in area.y..<area.y + area.height {
            let start = (row * width + area.x) * 3
            part += bytes[start..<start + length]
        }
        return Image(width: area.width, height: area.height, bytes: part)
    }
}
