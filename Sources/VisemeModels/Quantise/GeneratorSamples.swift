import Viseme

/// Realistic inputs of a generator: pictures of the pack's template with feature windows of speech.
struct GeneratorSamples {
    /// For calibration: all over the template and the speech.
    private(set) var calibration: [(image: [Float], audio: [Float])] = []
    /// For judgement: other template frames, other moments.
    private(set) var heldOut: [(image: [Float], audio: [Float])] = []
    /// One template frame through other moments in turn: what moves is the mouth.
    private(set) var oneFrame: [(image: [Float], audio: [Float])] = []

    /// Draws samples.
    ///
    /// - Parameters:
    ///   - featureWindows: Feature windows of speech, at least 16.
    ///   - count: Samples for calibration; half as many of each other kind.
    init(of avatar: Avatar, featureWindows: [[Float]], media: any MediaBackend, count: Int) async throws {
        let frames = avatar.manifest.frames
        let compositor = avatar.compositor
        func image(_ index: Int) async throws -> [Float] {
            let picture = try await TemplatePicture(index, of: avatar, media: media)
            return compositor.generatorInput(roi: picture.roi, masked: picture.masked)
        }
        // Even moments calibrate, odd ones judge.
        func moment(_ k: Int, of total: Int, odd: Bool) -> [Float] {
            featureWindows[
                min(featureWindows.count - 1, k * (featureWindows.count / 2) / total * 2 + (odd ? 1 : 0))
            ]
        }
        for k in 0..<count {
            calibration.append((try await image(k * frames / count), moment(k, of: count, odd: false)))
        }
        // A template of one frame has no other one.
        let middle = try await image((2 * frames / count + 1) % frames)
        for k in 0..<count / 2 {
            let index = min(frames - 1, (2 * k + 1) * frames / count + frames / (2 * count))
            heldOut.append((try await image(index), moment(k, of: count / 2, odd: true)))
            oneFrame.append((middle, moment(k, of: count / 2, odd: true)))
        }
    }
}
