/// What follows from a family's rates and windows.
extension GeneratorFamily {
    /// Samples of audio in a video frame.
    public var samplesPerFrame: Int { mel.sampleRate / frameRate }

    /// Video frames for `samples` samples: the video is never shorter than the audio.
    public func frameCount(samples: Int) -> Int { (samples + samplesPerFrame - 1) / samplesPerFrame }

    /// Mel windows, and so feature rows, of a mel with T columns.
    ///
    /// In Float64 and in this order, as the reference computes it: integer arithmetic differs for 513 values below 100 000.
    public func melWindowCount(columns: Int) -> Int {
        Int(Double(columns - melWindow.columns) / Double(mel.columnsPerSecond) * Double(frameRate)) + melWindow.surplus
    }

    /// The shortest look-ahead in feature rows: one that hears no further than the frame's own duration.
    public var shortestLookahead: Int { lookahead(samples: samplesPerFrame) }

    /// The look-ahead in feature rows that hears no further than `duration` after a frame's beginning.
    ///
    /// `lookaheadDuration` and more is the full look-ahead; a frame always hears its own duration.
    public func lookahead(within duration: Duration) -> Int {
        let samples = Int((duration / .milliseconds(1) * (Double(mel.sampleRate) / 1000)).rounded(.down))
        return min(featureWindow.rowsAfter, lookahead(samples: max(samples, samplesPerFrame)))
    }

    /// How much audio after its beginning a frame hears when nothing is cut off.
    public var lookaheadDuration: Duration {
        let samples = (featureWindow.rowsAfter - featureWindow.edgeCopies) * samplesPerFrame + melWindowReach
        return .microseconds(samples * 1_000_000 / mel.sampleRate)
    }

    /// Samples from the beginning of a mel window to the last one that its last column hears.
    private var melWindowReach: Int { (melWindow.columns - 1) * mel.hopSamples + mel.windowSamples / 2 }

    /// Feature row r of the audio rows hears mel window r − edgeCopies, which begins where its frame does.
    private func lookahead(samples: Int) -> Int {
        let rows = Double(samples - melWindowReach) / Double(samplesPerFrame)
        return Int(rows.rounded(.down)) + featureWindow.edgeCopies
    }
}
