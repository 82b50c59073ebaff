/// What a lower precision costs, measured when the model was converted, on frames that calibration had not seen.
public struct PrecisionCost: Sendable, Codable, Equatable {
    /// The precision: "int8".
    public var name: String
    /// Peak signal-to-noise ratio of the mouths against Float32, in dB.
    public var psnr: Double
    /// Correlation of the mouth's largest movement over speech with that of Float32.
    public var articulation: Double
    /// Frames that were measured.
    public var frames: Int

    /// States a cost.
    public init(name: String, psnr: Double, articulation: Double, frames: Int) {
        self.name = name
        self.psnr = psnr
        self.articulation = articulation
        self.frames = frames
    }
}
