import Foundation
public import Viseme

/// How well an avatar says what its person said: a clip's own sound drives the avatar, whose mouth is compared with the filmed one.
public struct AvatarReport: Sendable, Codable {
    /// What was compared.
    public struct Subject: Sendable, Codable, Equatable {
        /// The pack's name.
        public var avatar: String
        /// The clip's file name.
        public var clip: String
        /// Frames of the clip that were read, and those of them that were measured.
        public var frames: Int
        /// Frames in which somebody speaks, whose face is whole and not turned away.
        public var measured: Int
        /// By how much the clip was resized so that its face is as wide as the template's.
        public var scale: Double
        /// Seconds by which the clip's sound was delayed, as asked for.
        public var soundDelay: Double
        /// Width of the face in pixels.
        public var face: Double
    }

    /// One measured frame. Openings and widths are shares of the face's width.
    public struct FrameFigures: Sendable, Codable, Equatable {
        /// Its number at 25 a second.
        public var frame: Int
        /// The lips' inner distance: filmed, drawn, and drawn with the sound of another moment.
        public var filmedOpening, drawnOpening, wrongOpening: Double
        /// The distance of the corners of the mouth.
        public var filmedWidth, drawnWidth: Double
        /// Mean distance of the lips' landmarks in pixels.
        public var landmarkDistance: Double
        /// Mean square difference inside the mask, of levels 0…255.
        public var squaredError: Double
        /// Structural similarity inside the mask.
        public var similarity: Double
        /// High frequencies around the mouth.
        public var filmedTexture, drawnTexture: Double
        /// Mean step along the border of the mask.
        public var filmedStep, drawnStep: Double
        /// The template frame whose picture was redrawn.
        public var reference: Int

        /// PSNR inside the mask in dB.
        public var psnr: Double { Decibels.psnr(squaredError) }
    }

    /// Figures of silence: the template redrawn without a word.
    public struct Silence: Sendable, Codable, Equatable {
        /// Frames that were drawn.
        public var frames: Int
        /// The share of them with a closed mouth.
        public var closed: Double
        /// The largest opening.
        public var largestOpening: Double
        /// The deviation of the opening: how much the mouth moves.
        public var motion: Double
        /// The same of the template's own mouth: what the head's movement and the landmarks' noise leave.
        public var templateMotion: Double
    }

    /// How much earlier the drawn mouth is than the filmed one.
    public struct Lag: Sendable, Codable, Equatable {
        /// The best whole number of frames from −3 to 3.
        public var frames: Int
        /// The best shift between frames; positive: the drawn mouth is early.
        public var best: Double
        /// The 95 % interval of it, from blocks of half a second drawn anew.
        public var low, high: Double
        /// r of the opening at shifts of −8…8 frames.
        public var curve: [Double?]
    }

    /// The figures of the whole clip. Ratios are drawn against filmed.
    public struct Figures: Sendable, Codable, Equatable {
        /// Pearson's r of the opening, and of the distance of the corners of the mouth.
        public var openingR, widthR: Double?
        /// r of the filmed opening with one that was drawn from the sound of another moment: it must be small.
        public var wrongSoundR: Double?
        /// The lag.
        public var lag: Lag
        /// Mean and deviation of the opening.
        public var openingRatio, spreadRatio: Double
        /// High frequencies around the mouth: 1 is as sharp as the film.
        public var textureRatio: Double
        /// Mean distance of the lips' landmarks in pixels, and in shares of the face's width.
        public var landmarkDistance, landmarkShare: Double
        /// PSNR inside the mask in dB, of the drawn picture and of the best copy of a template frame.
        public var psnr, copyPSNR: Double
        /// Structural similarity inside the mask.
        public var ssim: Double
        /// The step along the border of the mask.
        public var stepRatio: Double
        /// What changes from picture to picture and back, inside the mask.
        public var flickerRatio: Double
        /// Closures of the filmed mouth between sounds, and those of them that are drawn.
        public var closures, closuresFound: Int
        /// Frames in which a closed mouth would be wrong, and those with one.
        public var openFrames, falseClosures: Int
        /// Silence.
        public var silence: Silence
    }

    /// What was compared.
    public var subject: Subject
    /// The summed figures.
    public var figures: Figures
    /// The figures of every frame.
    public var frames: [FrameFigures]
    /// Things worth knowing, one sentence each.
    public var notes: [String]
    /// Rows of pictures: filmed, drawn, with silence, with the sound of another moment.
    public var pictures: [[Image]] = []

    private enum CodingKeys: String, CodingKey { case subject, figures, frames, notes }
}

enum Decibels {
    /// PSNR of a mean square difference of levels 0…255.
    static func psnr(_ squaredError: Double) -> Double { 10 * log10(255 * 255 / max(1e-9, squaredError)) }
}
