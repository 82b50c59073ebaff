/// Between template frames and the generator: crop, roi, masked roi, and the paste back.
public struct Compositor: Sendable {
    private let geometry: CropGeometry
    private let composition: GeneratorFamily.Composition

    /// Makes a compositor for one geometry.
    ///
    /// - Parameter composition: The family's way to make a part of the picture of the drawn square.
    public init(_ geometry: CropGeometry, _ composition: GeneratorFamily.Composition = .insideBorder) {
        self.geometry = geometry
        self.composition = composition
    }

    /// The crop square of a frame, resized to the crop size.
    ///
    /// - Parameter square: Inside the frame.
    public func crop(_ frame: Image, at square: CropSquare) -> Image {
        precondition(square.fits(width: frame.width, height: frame.height), "the square lies inside the frame")
        return CubicResize.resize(
            frame, x: square.x, y: square.y, width: square.size, height: square.size, targetWidth: geometry.crop,
            targetHeight: geometry.crop)
    }

    /// The crop without its border.
    ///
    /// - Parameter crop: Of the geometry's size, as all crops and rois below.
    public func roi(of crop: Image) -> Image {
        requireSize(geometry.crop, of: crop, "crop")
        return crop.image(
            of: PixelArea(x: geometry.border, y: geometry.border, width: geometry.roi, height: geometry.roi))
    }

    /// The roi with the mask rectangle black.
    public func masked(_ roi: Image) -> Image {
        requireSize(geometry.roi, of: roi, "roi")
        var result = roi
        for y in geometry.mask[1]..<geometry.mask[3] {
            let row = y * roi.width
            for i in (row + geometry.mask[0]) * 3..<(row + geometry.mask[2]) * 3 { result.bytes[i] = 0 }
        }
        return result
    }

    /// The generator's image input.
    ///
    /// - Parameters:
    ///   - roi: The whole roi.
    ///   - masked: The masked roi.
    /// - Returns: (6, roi, roi) row-major: B, G, R of the roi, then of the masked roi, each byte / 255.
    public func generatorInput(roi: Image, masked: Image) -> [Float] {
        requireSize(geometry.roi, of: roi, "roi")
        requireSize(geometry.roi, of: masked, "masked roi")
        let plane = geometry.roi * geometry.roi
        return [Float](unsafeUninitializedCapacity: 6 * plane) { target, count in
            for (base, image) in [(0, roi), (3 * plane, masked)] {
                image.bytes.withUnsafeBufferPointer { bytes in
                    for c in 0..<3 {
                        for i in 0..<plane { target[base + c * plane + i] = Float(bytes[i * 3 + c]) / 255 }
                    }
                }
            }
            count = 6 * plane
        }
    }

    /// Puts the generated mouth into a frame: inside the crop's real border, resized to the square, pasted.
    ///
    /// - Parameters:
    ///   - mouth: (3, roi, roi) row-major, B G R in 0…1; ×255 is truncated to a byte, as the reference does.
    ///   - crop: The crop that the mouth was generated for.
    ///   - frame: The template frame.
    ///   - square: The crop square, inside the frame.
    /// - Throws: `.badData` when the mouth has another size, or holds NaN or infinity.
    public func paste(mouth: [Float], crop: Image, into frame: Image, at square: CropSquare) throws -> Image {
        var result = frame
        Self.place(try self.square(mouth: mouth, crop: crop, size: square.size), in: &result, at: square)
        return result
    }

    /// The finished crop square: the first half of `paste`.
    func square(mouth: [Float], crop: Image, size: Int) throws -> Image {
        switch composition {
        case .insideBorder:
            let whole = try fill(crop, with: mouth)
            return CubicResize.resize(
                whole, width: whole.width, height: whole.height, targetWidth: size, targetHeight: size)
        }
    }

    /// Puts a finished square into a frame: the second half of `paste`.
    ///
    /// - Parameter share: How much of the square is seen, 0…1; the rest is the frame.
    static func place(_ drawn: Image, in frame: inout Image, at square: CropSquare, share: Float = 1) {
        precondition(square.fits(width: frame.width, height: frame.height), "the square lies inside the frame")
        precondition(drawn.width == square.size && drawn.height == square.size, "the image fills the square")
        let (length, width) = (square.size * 3, frame.width)
        frame.bytes.withUnsafeMutableBufferPointer { target in
            drawn.bytes.withUnsafeBufferPointer { source in
                for y in 0..<square.size {
                    let to = ((square.y + y) * width + square.x) * 3
                    if share == 1 {
                        for i in 0..<length { target[to + i] = source[y * length + i] }
                    } else {
                        for i in 0..<length {
                            let (old, new) = (Float(target[to + i]), Float(source[y * length + i]))
                            target[to + i] = UInt8((old + (new - old) * share).rounded())
                        }
                    }
                }
            }
        }
    }

    /// The crop with the generated mouth inside its border.
    func fill(_ crop: Image, with mouth: [Float]) throws -> Image {
        let (side, border) = (geometry.roi, geometry.border)
        let plane = side * side
        requireSize(geometry.crop, of: crop, "crop")
        guard mouth.count == 3 * plane else {
            throw VisemeError(
                .badData,
                "The generator's output has \(mouth.count) values, expected \(3 * plane) (3×\(side)×\(side)).",
                hint: "The pack's geometry and its generator belong to different model variants.")
        }
        try mouth.requireFinite("The generator's output")
        var whole = crop
        whole.bytes.withUnsafeMutableBufferPointer { target in
            mouth.withUnsafeBufferPointer { mouth in
                for y in 0..<side {
                    let to = ((y + border) * crop.width + border) * 3
                    for x in 0..<side {
                        for c in 0..<3 {
                            let level = min(255, max(0, mouth[c * plane + y * side + x] * 255))
                            target[to + x * 3 + c] = UInt8(level)
                        }
                    }
                }
            }
        }
        return whole
    }

    /// A caller's mistake must not read or write outside of an image.
    private func requireSize(_ side: Int, of image: Image, _ name: String) {
        precondition(
            image.width == side && image.height == side,
            "the \(name) has \(image.width)×\(image.height) pixels, the geometry says \(side)×\(side)")
    }
}

extension [Float] {
    /// Throws `.badData` when an element is NaN or infinite: a broken model must not look like a strange picture.
    func requireFinite(_ name: String) throws {
        // x·0 is 0 for every finite x and NaN otherwise; a sum vectorises, a search does not.
        let sum = withUnsafeBufferPointer { buffer in
            var sum: (Float, Float, Float, Float) = (0, 0, 0, 0)
            var i = 0
            while i + 4 <= buffer.count {
                sum.0 += buffer[i] * 0
                sum.1 += buffer[i + 1] * 0
                sum.2 += buffer[i + 2] * 0
                sum.3 += buffer[i + 3] * 0
                i += 4
            }
            while i < buffer.count {
                sum.0 += buffer[i] * 0
                i += 1
            }
            return sum.0 + sum.1 + sum.2 + sum.3
        }
        guard sum == 0 else {
            throw VisemeError(
                .badData, "\(name) holds NaN or infinite numbers.",
                hint: "The model file is broken: export it again from its checkpoint.")
        }
    }
}
