import Foundation

extension AvatarReport {
    /// How good a figure is.
    public enum Grade: String, Sendable, Codable {
        /// As it should be; not quite; a fault that people see.
        case good, fair, poor
    }

    /// A figure in words.
    public struct JudgedFigure: Sendable, Codable, Equatable {
        /// What it is called, and what was found.
        public var name: String, value: String
        /// What it should be.
        public var wanted: String
        /// What it says.
        public var meaning: String
        /// How good it is.
        public var grade: Grade
    }

    /// The figures with what they should be. The limits are those of the training's own bars.
    public var judged: [JudgedFigure] {
        let f = figures
        let quiet = f.silence
        func fixed(_ value: Double?, _ digits: Int = 2) -> String {
            value.map { String(format: "%.\(digits)f", $0) } ?? "none"
        }
        func share(_ part: Int, _ whole: Int) -> Double { whole > 0 ? Double(part) / Double(whole) : 1 }
        let closures = share(f.closuresFound, f.closures)
        let wrongly = f.openFrames > 0 ? Double(f.falseClosures) / Double(f.openFrames) : 0
        let lag = abs(f.lag.best)
        return [
            .init(
                "r of the opening", fixed(f.openingR), "≥ 0.85", Grade(f.openingR ?? 0, good: 0.85, fair: 0.7),
                "How the drawn mouth opens and closes with the filmed one."),
            .init(
                "r of the width", fixed(f.widthR), "≥ 0.80", Grade(f.widthR ?? 0, good: 0.8, fair: 0.6),
                "The same of the distance of its corners: ee against oo."),
            .init(
                "r with wrong sound", fixed(f.wrongSoundR), "≤ 0.35",
                Grade(-(f.wrongSoundR ?? 0), good: -0.35, fair: -0.5),
                "The control: a mouth that follows its sound does not follow another one."),
            .init(
                "lag", "\(fixed(f.lag.best)) frames (\(fixed(f.lag.low)) … \(fixed(f.lag.high)))", "0 ± 1",
                Grade(-lag, good: -1, fair: -2),
                "How many frames the drawn mouth is early; the interval holds 95 of 100."),
            .init(
                "closures", "\(f.closuresFound) of \(f.closures)", "≥ 80 %", Grade(closures, good: 0.8, fair: 0.6),
                "Lips that meet between sounds, as in m, b and p."),
            .init(
                "closed when open", "\(f.falseClosures) of \(f.openFrames)", "≤ 5 %",
                Grade(-wrongly, good: -0.05, fair: -0.12),
                "Frames that are drawn shut where the filmed mouth is clearly open."),
            .init(
                "opening ratio", fixed(f.openingRatio), "0.85 … 1.15",
                Grade(-abs(f.openingRatio - 1), good: -0.15, fair: -0.3), "Mean opening, drawn against filmed."),
            .init(
                "spread ratio", fixed(f.spreadRatio), "≥ 0.85", Grade(f.spreadRatio, good: 0.85, fair: 0.65),
                "How far the opening goes up and down: below 1 the mouth mumbles."),
            .init(
                "texture ratio", fixed(f.textureRatio), "≥ 0.75", Grade(f.textureRatio, good: 0.75, fair: 0.5),
                "Sharpness of lips and teeth: below 1 they are softer than the film."),
            .init(
                "landmark distance", "\(fixed(f.landmarkDistance, 1)) px, \(fixed(100 * f.landmarkShare, 1)) %",
                "≤ 2 %",
                Grade(-f.landmarkShare, good: -0.02, fair: -0.035),
                "How far the lips are from where they were filmed, of the face's width."),
            .init(
                "PSNR in the mask", "\(fixed(f.psnr, 1)) dB", "copy + 3 dB",
                Grade(f.psnr - f.copyPSNR, good: 3, fair: 1),
                "Likeness of the drawn part, pixel by pixel. The best copy of a template frame: \(fixed(f.copyPSNR, 1)) dB."
            ),
            .init(
                "SSIM in the mask", fixed(f.ssim, 3), "≥ 0.75", Grade(f.ssim, good: 0.75, fair: 0.6),
                "Likeness of its structure."),
            .init(
                "border step", fixed(f.stepRatio), "≤ 1.1", Grade(-f.stepRatio, good: -1.1, fair: -1.3),
                "The step along the mask's edge against the film's: above 1.1 a seam is seen."),
            .init(
                "flicker", fixed(f.flickerRatio), "≤ 1.2", Grade(-f.flickerRatio, good: -1.2, fair: -1.6),
                "What jumps from picture to picture and back, against the film's noise."),
            .init(
                "closed in silence", "\(fixed(100 * quiet.closed, 0)) % of \(quiet.frames) frames", "100 %",
                Grade(quiet.closed, good: 0.999, fair: 0.9),
                "The mouth without a word; largest opening \(fixed(quiet.largestOpening, 3))."),
            .init(
                "motion in silence", "\(fixed(quiet.motion, 4)) (template \(fixed(quiet.templateMotion, 4)))",
                "≤ 0.005",
                Grade(-quiet.motion, good: -0.005, fair: -0.01), "How much that mouth moves."),
        ]
    }
}

extension AvatarReport.Grade {
    /// More is better.
    init(_ value: Double, good: Double, fair: Double) {
        self = value >= good ? .good : value >= fair ? .fair : .poor
    }
}

extension AvatarReport.JudgedFigure {
    fileprivate init(_ name: String, _ value: String, _ wanted: String, _ grade: AvatarReport.Grade, _ meaning: String)
    {
        self.init(name: name, value: value, wanted: wanted, meaning: meaning, grade: grade)
    }
}
