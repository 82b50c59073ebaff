import Foundation

/// Samples → mel columns: a family's numbers, and the tables that follow from them.
public struct MelFrontEnd: Sendable {
    /// Samples a second.
    public let sampleRate: Int
    /// Samples between two columns.
    public let hopSamples: Int
    /// Samples that a column hears; half of them lie on each side of the column's time.
    public let windowSamples: Int
    /// Samples of the spectrum that is made of them: at least as many, the rest are zeros.
    public let spectrumSamples: Int
    /// Mel bands in a column.
    public let bandCount: Int
    /// The lowest and the highest frequency, in hertz.
    public let bandLimits: ClosedRange<Double>
    /// The share of the sample before that pre-emphasis takes away.
    public let preEmphasis: Double
    /// What is taken from a band's level, in decibels.
    public let referenceLevel: Double
    /// The value of every band for digital silence.
    public let silence: Float
    /// Shorter speech is padded with zeros to this many samples.
    public let minimumSamples: Int

    let transform: FourierTransform
    let filters: MelFilterBank
    /// The Hann window over `windowSamples`, periodic.
    let hann: [Double]

    /// Makes the tables.
    public init(
        sampleRate: Int, hopSamples: Int, windowSamples: Int, spectrumSamples: Int, bandCount: Int,
        bandLimits: ClosedRange<Double>,
        preEmphasis: Double, referenceLevel: Double, silence: Float, minimumSamples: Int
    ) {
        (self.sampleRate, self.hopSamples, self.spectrumSamples) = (sampleRate, hopSamples, spectrumSamples)
        precondition(windowSamples <= spectrumSamples, "a spectrum holds its window")
        (self.windowSamples, self.referenceLevel) = (windowSamples, referenceLevel)
        (self.bandCount, self.bandLimits, self.preEmphasis) = (bandCount, bandLimits, preEmphasis)
        (self.silence, self.minimumSamples) = (silence, minimumSamples)
        transform = FourierTransform(length: spectrumSamples)
        filters = MelFilterBank(
            bandCount: bandCount, binCount: spectrumSamples / 2 + 1,
            binHz: Double(sampleRate) / Double(spectrumSamples), lowHz: bandLimits.lowerBound,
            highHz: bandLimits.upperBound)
        hann = (0..<windowSamples).map { i in
            0.5 * (1 - cos(2 * Double.pi * Double(i) / Double(windowSamples)))
        }
    }

    /// The value of a band: decibels between −100 and 0 become −4 … 4.
    func level(of magnitude: Double) -> Float {
        let level = 20 * log10(max(1e-5, magnitude)) - referenceLevel
        return Float(min(4, max(-4, 8 * ((level + 100) / 100) - 4)))
    }

    /// Columns a second.
    public var columnsPerSecond: Int { sampleRate / hopSamples }
}
