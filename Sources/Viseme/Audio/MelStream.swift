import Foundation

/// Speech samples in, mel columns out, however the samples are cut.
///
/// | stage | definition (the contract's §1) |
/// |---|---|
/// | pre-emphasis | y[0] = x[0]; y[n] = x[n] − 0.97·x[n−1], once over the whole signal |
/// | frames | 800 samples every 200, centred: 400 zeros on each side; periodic Hann |
/// | mel | magnitude, 80 Slaney bands |
/// | level | 20·log10(max(1e−5, m)) − 20, then clip(8·((S + 100)/100) − 4, −4, 4) |
///
/// Arithmetic is Float64 to the end. N samples give 1 + N/200 columns; fewer than 3000 samples are padded with zeros to
/// 3000, since an encoder window needs 16 columns. Digital silence is exactly −4.
public struct MelStream: Sendable {
    /// Mel bands in a column.
    public static let bandCount = 80
    /// Samples between two columns: 12.5 ms.
    public static let hopSamples = 200
    /// Samples in the STFT window of a column: 50 ms.
    public static let windowSamples = 800
    /// The value of every band for digital silence.
    public static let silence: Float = -4
    /// The fewest samples that give 16 columns.
    public static let minimumSamples = 3000

    /// Samples accepted so far, before any padding.
    public private(set) var sampleCount = 0

    private static let transform = FourierTransform(length: windowSamples)
    private static let filters = MelFilterBank()
    private static let hann = (0..<windowSamples).map { i in
        0.5 * (1 - cos(2 * Double.pi * Double(i) / Double(windowSamples)))
    }

    /// Pre-emphasised samples that a later column still needs; its first element is the first sample of the next column.
    private var pending = [Double](repeating: 0, count: windowSamples / 2)
    private var previous = 0.0
    private var isFinished = false

    /// A stream at the beginning of its signal.
    public init() {}

    /// Takes the next samples and gives the columns that they complete.
    ///
    /// - Parameter samples: Mono, 16 kHz, −1…1.
    /// - Returns: (columns, 80), row-major: band b of column t is element `t * 80 + b`.
    public mutating func append(_ samples: [Float]) -> [Float] {
        precondition(!isFinished, "append after finish")
        sampleCount += samples.count
        return emphasise(samples)
    }

    /// Ends the signal and gives the remaining columns, (columns, 80).
    public mutating func finish() -> [Float] {
        precondition(!isFinished, "finish twice")
        isFinished = true
        var columns = emphasise([Float](repeating: 0, count: max(0, Self.minimumSamples - sampleCount)))
        pending.append(contentsOf: repeatElement(0, count: Self.windowSamples / 2))
        columns += drain()
        return columns
    }

    private mutating func emphasise(_ samples: [Float]) -> [Float] {
        pending.reserveCapacity(pending.count + samples.count)
        for sample in samples {
            let x = Double(sample)
            pending.append(x - 0.97 * previous)
            previous = x
        }
        return drain()
    }

    private mutating func drain() -> [Float] {
        guard pending.count >= Self.windowSamples else { return [] }
        let count = (pending.count - Self.windowSamples) / Self.hopSamples + 1
        var columns: [Float] = []
        columns.reserveCapacity(count * Self.bandCount)
        var windowed = [Double](repeating: 0, count: Self.windowSamples)
        var magnitudes = [Double](repeating: 0, count: Self.windowSamples / 2 + 1)
        for column in 0..<count {
            let start = column * Self.hopSamples
            for i in 0..<Self.windowSamples { windowed[i] = pending[start + i] * Self.hann[i] }
            windowed.withUnsafeBufferPointer { input in
                magnitudes.withUnsafeMutableBufferPointer { Self.transform.magnitudes(of: input, into: $0) }
            }
            for band in Self.filters.bands {
                var sum = 0.0
                for (i, weight) in band.weights.enumerated() { sum += weight * magnitudes[band.first + i] }
                let level = 20 * log10(max(1e-5, sum)) - 20
                columns.append(Float(min(4, max(-4, 8 * ((level + 100) / 100) - 4))))
            }
        }
        pending.removeFirst(count * Self.hopSamples)
        return columns
    }
}
