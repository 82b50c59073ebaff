/// Between template frames and the generator: crop, roi, masked roi, and the paste back.
public struct Compositor: Sendable {
    private let geometry: CropGeometry
    private let composition: GeneratorFamily.Composition
    private let mask: BlendMask?

    /// Makes a compositor for one geometry.
    ///
    /// - Parameters:
    ///   - composition: The family's way to make a part of the picture of the drawn square.
    ///   - mask: What is drawn, as large as the roi, where the composition is `.blended`; nil for others.
    public init(
        _ geometry: CropGeometry, _ composition: GeneratorFamily.Composition = .insideBorder, mask: BlendMask? = nil
    ) {
        precondition((composition == .blended) == (mask != nil), "a mask belongs to what is blended")
        precondition(mask == nil || mask?.size == geometry.roi && geometry.crop == geometry.roi, "one size for all")
        self.geometry = geometry
        self.composition = composition
        self.mask = mask
    }

    /// The crop of a frame, resized to the crop size; where the composition is `.blended`, copied.
    ///
    /// - Parameter square: Inside the frame.
    public func crop(_ frame: Image, at square: PixelArea) -> Image {
        precondition(square.fits(width: frame.width, height: frame.height), "the square lies inside the frame")
        switch composition {
        case .insideBorder:
            return CubicResize.resize(
                frame, x: square.x, y: square.y, width: square.width, height: square.height,
                targetWidth: geometry.crop.width, targetHeight: geometry.crop.height)
        case .blended:
            return frame.image(of: square)
        }
    }

    /// The crop without its border.
    ///
    /// - Parameter crop: Of the geometry's size, as all crops and rois below.
    public func roi(of crop: Image) -> Image {
        requireSize(geometry.crop, of: crop, "crop")
        return crop.image(
            of: PixelArea(
                x: geometry.border, y: geometry.border, width: geometry.roi.width, height: geometry.roi.height))
    }

    /// The roi with the mask black: the rectangle, or every pixel that is drawn at all.
    public func masked(_ roi: Image) -> Image {
        requireSize(geometry.roi, of: roi, "roi")
        var result = roi
        if let mask {
            result.bytes.withUnsafeMutableBufferPointer { bytes in
                mask.levels.withUnsafeBufferPointer { levels in
                    for pixel in levels.indices where levels[pixel] > 0 {
                        (bytes[pixel * 3], bytes[pixel * 3 + 1], bytes[pixel * 3 + 2]) = (0, 0, 0)
                    }
                }
            }
        } else if let mask = geometry.mask {
            for y in mask[1]..<mask[3] {
                let row = y * roi.width
                for i in (row + mask[0]) * 3..<(row + mask[2]) * 3 { result.bytes[i] = 0 }
            }
        }
        return result
    }

    /// The part of a crop that may differ from the template.
    ///
    /// - Parameter square: The crop.
    public func drawn(in square: PixelArea) -> PixelArea {
        guard let bounds = mask?.bounds else { return square }
        return PixelArea(
            x: square.x + bounds.x, y: square.y + bounds.y, width: bounds.width, height: bounds.height)
    }

    /// The generator's image input.
    ///
    /// - Parameters:
    ///   - roi: The whole roi.
    ///   - masked: The masked roi.
    /// - Returns: (6, height, width) row-major: B, G, R of the roi, then of the masked roi, each byte / 255.
    public func generatorInput(roi: Image, masked: Image) -> [Float] {
        requireSize(geometry.roi, of: roi, "roi")
        requireSize(geometry.roi, of: masked, "masked roi")
        let plane = geometry.roi.count
        let levels = (0...255).map { Float($0) / 255 }
        return [Float](unsafeUninitializedCapacity: 6 * plane) { target, count in
            guard let target = target.baseAddress else { return }
            levels.withUnsafeBufferPointer { levels in
                for (base, image) in [(0, roi), (3 * plane, masked)] {
                    let (blue, green, red) = (target + base, target + base + plane, target + base + 2 * plane)
                    image.bytes.withUnsafeBufferPointer { bytes in
                        for i in 0..<plane {
                            blue[i] = levels[Int(bytes[i * 3])]
                            green[i] = levels[Int(bytes[i * 3 + 1])]
                            red[i] = levels[Int(bytes[i * 3 + 2])]
                        }
                    }
                }
            }
            count = 6 * plane
        }
    }

    /// Puts the generated mouth into a frame: inside the crop's real border, resized to the square, pasted; or blended by the mask.
    ///
    /// - Parameters:
    ///   - mouth: (3, height, width) row-major, B G R in 0…1; ×255 is truncated to a byte inside a border, as the
    ///     reference does; blended with the template it is rounded.
    ///   - crop: The crop that the mouth was generated for.
    ///   - frame: The template frame.
    ///   - square: The crop square, inside the frame.
    /// - Throws: `.badData` when the mouth has another size, or holds NaN or infinity.
    public func paste(mouth: [Float], crop: Image, into frame: Image, at square: PixelArea) throws -> Image {
        var result = frame
        Self.place(try self.square(mouth: mouth, crop: crop, size: square.size), in: &result, at: square)
        return result
    }

    /// The finished crop square: the first half of `paste`.
    func square(mouth: [Float], crop: Image, size: PixelSize) throws -> Image {
        switch composition {
        case .insideBorder:
            let whole = try fill(crop, with: mouth)
            return CubicResize.resize(
                whole, width: whole.width, height: whole.height, targetWidth: size.width,
                targetHeight: size.height)
        case .blended:
            return try blend(mouth, over: crop)
        }
    }

    /// Puts a finished square into a frame: the second half of `paste`.
    ///
    /// - Parameter share: How much of the square is seen, 0…1; the rest is the frame.
    static func place(_ drawn: Image, in frame: inout Image, at square: PixelArea, share: Float = 1) {
        precondition(square.fits(width: frame.width, height: frame.height), "the square lies inside the frame")
        precondition(drawn.size == square.size, "the image fills the square")
        let (length, width) = (square.width * 3, frame.width)
        frame.bytes.withUnsafeMutableBufferPointer { target in
            drawn.bytes.withUnsafeBufferPointer { source in
                for y in 0..<square.height {
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
        let (size, border) = (geometry.roi, geometry.border)
        let plane = size.count
        requireSize(geometry.crop, of: crop, "crop")
        try requireMouth(mouth)
        var whole = crop
        whole.bytes.withUnsafeMutableBufferPointer { target in
            mouth.withUnsafeBufferPointer { mouth in
                for y in 0..<size.height {
                    let to = ((y + border) * crop.width + border) * 3
                    for x in 0..<size.width {
                        for c in 0..<3 {
                            let level = min(255, max(0, mouth[c * plane + y * size.width + x] * 255))
                            target[to + x * 3 + c] = UInt8(level)
                        }
                    }
                }
            }
        }
        return whole
    }

    /// The crop with the generated mouth over it: template + (drawn − template)·mask, rounded.
    ///
    /// Where the mask is 0 the template's byte stays as it is.
    private func blend(_ mouth: [Float], over crop: Image) throws -> Image {
        guard let mask else { preconditionFailure("a mask belongs to what is blended") }
        requireSize(geometry.crop, of: crop, "crop")
        try requireMouth(mouth)
        let (bounds, width, plane) = (mask.bounds, crop.width, crop.size.count)
        var whole = crop
        whole.bytes.withUnsafeMutableBufferPointer { target in
            mouth.withUnsafeBufferPointer { mouth in
                mask.levels.withUnsafeBufferPointer { levels in
                    for y in bounds.y..<bounds.y + bounds.height {
                        let row = y * width + bounds.x
                        for pixel in row..<row + bounds.width where levels[pixel] > 0 {
                            let share = Float(levels[pixel]) / 255
                            for c in 0..<3 {
                                let template = Float(target[pixel * 3 + c])
                                let drawn = min(255, max(0, mouth[c * plane + pixel] * 255))
                                target[pixel * 3 + c] = UInt8(template + (drawn - template) * share + 0.5)
                            }
                        }
                    }
                }
            }
        }
        return whole
    }

    private func requireMouth(_ mouth: [Float]) throws {
        guard mouth.count == 3 * geometry.roi.count else {
            throw VisemeError(
                .badData,
                "The generator's output has \(mouth.count) values, expected \(3 * geometry.roi.count) (3×"
                    + "\(geometry.roi.height)×\(geometry.roi.width)).",
                hint: "The pack's geometry and its generator belong to different model variants.")
        }
        try mouth.requireFinite("The generator's output")
    }

    /// A caller's mistake must not read or write outside of an image.
    private func requireSize(_ size: PixelSize, of image: Image, _ name: String) {
        precondition(
            image.size == size,
            "the \(name) has \(image.size) pixels, the geometry says \(size)")
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
