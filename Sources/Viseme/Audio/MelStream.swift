/// Speech samples in, mel columns out, however the samples are cut.
///
/// | stage | definition (the contract's §1) |
/// |---|---|
/// | pre-emphasis | y[0] = x[0]; y[n] = x[n] − 0.97·x[n−1], once over the whole signal |
/// | spectra | 800 samples every 200, centred: 400 zeros on each side; periodic Hann |
/// | mel | magnitude, 80 Slaney bands |
/// | level | 20·log10(max(1e−5, m)) − 20, then clip(8·((S + 100)/100) − 4, −4, 4) |
///
/// The numbers are SyncTalk_2D's; each family has its own `MelFrontEnd`. Arithmetic is Float64 to the end. N samples give
/// 1 + N/200 columns; fewer than 3000 samples are padded with zeros to 3000, since a mel window needs 16 columns. Digital silence
/// is exactly −4.
public struct MelStream: Sendable {
    /// Samples accepted so far, before any padding.
    public private(set) var sampleCount = 0

    private let mel: MelFrontEnd
    /// Pre-emphasised samples that a later column still needs; its first element is the first sample of the next column.
    private var pending: [Double]
    private var previous = 0.0
    private var isFinished = false

    /// A stream at the beginning of its signal.
    ///
    /// - Parameter mel: A family's numbers.
    public init(_ mel: MelFrontEnd) {
        self.mel = mel
        pending = [Double](repeating: 0, count: mel.windowSamples / 2)
    }

    /// Takes the next samples and gives the columns that they complete.
    ///
    /// - Parameter samples: Mono, at the family's rate, −1…1.
    /// - Returns: (columns, bands), row-major: band b of column t is element `t * bands + b`.
    public mutating func append(_ samples: [Float]) -> [Float] {
        precondition(!isFinished, "append after finish")
        sampleCount += samples.count
        return emphasise(samples)
    }

    /// Ends the signal and gives the remaining columns, (columns, bands).
    public mutating func finish() -> [Float] {
        precondition(!isFinished, "finish twice")
        isFinished = true
        var columns = emphasise([Float](repeating: 0, count: max(0, mel.minimumSamples - sampleCount)))
        pending.append(contentsOf: repeatElement(0, count: mel.windowSamples / 2))
        columns += drain()
        return columns
    }

    private mutating func emphasise(_ samples: [Float]) -> [Float] {
        pending.reserveCapacity(pending.count + samples.count)
        for sample in samples {
            let x = Double(sample)
            pending.append(x - mel.preEmphasis * previous)
            previous = x
        }
        return drain()
    }

    private mutating func drain() -> [Float] {
        guard pending.count >= mel.windowSamples else { return [] }
        let count = (pending.count - mel.windowSamples) / mel.hopSamples + 1
        var columns: [Float] = []
        columns.reserveCapacity(count * mel.bandCount)
        let (mel, hann, length) = (mel, mel.hann, mel.spectrumSamples)
        // Where in the spectrum's samples the window lies does not change the magnitudes.
        var weighted = [Double](repeating: 0, count: length)
        var magnitudes = [Double](repeating: 0, count: length / 2 + 1)
        for column in 0..<count {
            let start = column * mel.hopSamples
            for i in hann.indices { weighted[i] = pending[start + i] * hann[i] }
            weighted.withUnsafeBufferPointer { input in
                magnitudes.withUnsafeMutableBufferPointer { mel.transform.magnitudes(of: input, into: $0) }
            }
            for band in mel.filters.bands {
                var sum = 0.0
                for (i, weight) in band.weights.enumerated() { sum += weight * magnitudes[band.first + i] }
                columns.append(mel.level(of: sum))
            }
        }
        pending.removeFirst(count * mel.hopSamples)
        return columns
    }
}
