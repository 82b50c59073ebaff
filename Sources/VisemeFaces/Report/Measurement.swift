import Viseme

/// Collects the figures of a clip, frame by frame.
struct Measurement {
    /// The mouth is closed below this opening at least, in face widths; it is clearly open from twice of the level on.
    static let closed = 0.018
    /// Full lips that touch measure more: so much more than the smallest openings of the clip counts as closed, up to a limit.
    private static let aboveSmallest = (share: 1.3, limit: 0.028)
    /// A closure longer than this, in frames, is a pause.
    private static let longestClosure = 12
    /// Pixels around the lips that count as mouth.
    private static let aroundLips = 7

    /// Landmarks of the same frame, filmed and drawn.
    struct Seen {
        var filmed, drawn, wrong: FaceMesh
    }

    private let drawnRegion: PixelRegion
    private let border: PixelRegion
    private let mouth: PixelRegion
    private var frames: [AvatarReport.FrameFigures] = []
    private var copies: [Double] = []
    private var flicker: (filmed: [Double], drawn: [Double]) = ([], [])
    private var last: [(number: Int, reference: Int, filmed: GreyPicture, drawn: GreyPicture)] = []
    private var pictures: [[Image]] = [[], [], [], []]
    private let faceWidth: Double

    /// - Parameters:
    ///   - measured: The frames that will come.
    ///   - region: What is drawn of a crop.
    init(_ faces: ClipFaces, _ measured: [Int], region: PixelRegion) {
        drawnRegion = region
        border = region.border
        faceWidth = faces.width
        let lips = FacePoint.lips.map { point -> SIMD2<Double> in
            let places = measured.compactMap { frame in
                faces.meshes[frame].map {
                    $0[point] - SIMD2(Double(faces.corners[frame].x), Double(faces.corners[frame].y))
                }
            }
            return SIMD2(places.map(\.x).median, places.map(\.y).median)
        }
        mouth = PixelRegion(size: region.size, hullOf: lips).grown(by: Self.aroundLips)
    }

    /// Adds a frame.
    ///
    /// - Parameters:
    ///   - pictures: Its crop, filmed and drawn.
    ///   - copies: Crops of template frames, moved onto its head.
    mutating func add(
        _ number: Int, _ seen: Seen, _ pictures: (filmed: Image, drawn: Image), reference: Int, copies: [Image]
    ) {
        let (filmed, drawn) = (GreyPicture(pictures.filmed), GreyPicture(pictures.drawn))
        let points = FacePoint.lips + FacePoint.innerLips
        let distances = points.map { point -> Double in
            let apart = seen.drawn[point] - seen.filmed[point]
            return (apart * apart).sum().squareRoot()
        }
        frames.append(
            AvatarReport.FrameFigures(
                frame: number, filmedOpening: seen.filmed.opening, drawnOpening: seen.drawn.opening,
                wrongOpening: seen.wrong.opening, filmedWidth: seen.filmed.mouthWidth,
                drawnWidth: seen.drawn.mouthWidth, landmarkDistance: distances.mean,
                squaredError: drawnRegion.squaredError(pictures.filmed, pictures.drawn),
                similarity: drawn.similarity(to: filmed, drawnRegion), filmedTexture: filmed.texture(mouth),
                drawnTexture: drawn.texture(mouth), filmedStep: filmed.step(border), drawnStep: drawn.step(border),
                reference: reference))
        if let best = copies.map({ drawnRegion.squaredError($0, pictures.filmed) }).min() { self.copies.append(best) }
        last.append((number, reference, filmed, drawn))
        if last.count > 3 { last.removeFirst() }
        // Rendering does not change its reference from frame to frame as this comparison does: such changes do not count.
        guard last.count == 3, last[0].number + 2 == number, last.allSatisfy({ $0.reference == reference }) else {
            return
        }
        flicker.filmed.append(GreyPicture.flicker((last[0].filmed, last[1].filmed, last[2].filmed), drawnRegion))
        flicker.drawn.append(GreyPicture.flicker((last[0].drawn, last[1].drawn, last[2].drawn), drawnRegion))
    }

    /// Keeps the four pictures of a frame for people.
    mutating func show(_ four: [Image]) {
        for (row, picture) in four.enumerated() { pictures[row].append(picture) }
    }

    /// Below this opening the mouth of this person is closed.
    var closedLevel: Double { Self.closedLevel(frames.map(\.filmedOpening)) }

    /// The level for filmed openings: by the second percentile, so that one lost landmark does not set it.
    static func closedLevel(_ filmed: [Double]) -> Double {
        guard !filmed.isEmpty else { return closed }
        let smallest = filmed.sorted()[(filmed.count - 1) / 50]
        return max(closed, min(aboveSmallest.limit, aboveSmallest.share * smallest))
    }

    /// Sums everything up.
    func report(_ subject: AvatarReport.Subject, silence: AvatarReport.Silence, notes: [String]) -> AvatarReport {
        let filmed = frames.map(\.filmedOpening)
        let drawn = frames.map(\.drawnOpening)
        let numbers = frames.map(\.frame)
        let level = closedLevel
        let (closures, found) = Self.closures(numbers, filmed: filmed, drawn: drawn, below: level)
        let (open, wrong) = Self.falseClosures(numbers, filmed: filmed, drawn: drawn, below: level)
        let distance = frames.map(\.landmarkDistance).mean
        func ratio(_ drawn: Double, _ filmed: Double) -> Double { filmed > 0 ? drawn / filmed : 0 }
        let figures = AvatarReport.Figures(
            openingR: drawn.correlation(filmed),
            widthR: frames.map(\.drawnWidth).correlation(frames.map(\.filmedWidth)),
            wrongSoundR: frames.map(\.wrongOpening).correlation(filmed),
            lag: LagEstimate(numbers, drawn: drawn, filmed: filmed).lag, openingRatio: ratio(drawn.mean, filmed.mean),
            spreadRatio: ratio(drawn.deviation, filmed.deviation),
            textureRatio: ratio(frames.map(\.drawnTexture).mean, frames.map(\.filmedTexture).mean),
            landmarkDistance: distance, landmarkShare: distance / faceWidth,
            psnr: Decibels.psnr(frames.map(\.squaredError).mean), copyPSNR: Decibels.psnr(copies.mean),
            ssim: frames.map(\.similarity).mean,
            stepRatio: ratio(frames.map(\.drawnStep).mean, frames.map(\.filmedStep).mean),
            flickerRatio: ratio(flicker.drawn.mean, flicker.filmed.mean), closures: closures, closuresFound: found,
            openFrames: open, falseClosures: wrong, silence: silence)
        return AvatarReport(subject: subject, figures: figures, frames: frames, notes: notes, pictures: pictures)
    }

    /// Closed stretches of the filmed mouth between open ones, and those in which the drawn one closes, a frame early or late.
    static func closures(
        _ numbers: [Int], filmed: [Double], drawn: [Double], below closed: Double = closed
    ) -> (count: Int, found: Int) {
        var (count, found, k) = (0, 0, 0)
        while k < numbers.count {
            guard filmed[k] < closed else {
                k += 1
                continue
            }
            let first = k
            while k + 1 < numbers.count, numbers[k + 1] == numbers[k] + 1, filmed[k + 1] < closed { k += 1 }
            let isBetween =
                first > 0 && k + 1 < numbers.count && numbers[first - 1] == numbers[first] - 1
                && numbers[k + 1] == numbers[k] + 1
            if isBetween, k - first < longestClosure {
                count += 1
                if drawn[first - 1...k + 1].contains(where: { $0 < closed }) { found += 1 }
            }
            k += 1
        }
        return (count, found)
    }

    /// Frames whose filmed mouth is clearly open, as in both neighbours, and those that are drawn closed.
    static func falseClosures(
        _ numbers: [Int], filmed: [Double], drawn: [Double], below closed: Double = closed
    ) -> (places: Int, count: Int) {
        let places = numbers.indices.dropFirst().dropLast().filter { k in
            numbers[k - 1] == numbers[k] - 1 && numbers[k + 1] == numbers[k] + 1
                && filmed[k - 1...k + 1].allSatisfy { $0 >= 2 * closed }
        }
        return (places.count, places.count { drawn[$0] < closed })
    }
}
