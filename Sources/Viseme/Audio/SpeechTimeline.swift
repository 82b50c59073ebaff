/// The whole way from samples to feature windows as one value: samples in, mel windows out, feature rows in, frames out.
///
/// It counts and cuts; the sizes, and which rows a frame hears, are its family's.
///
/// It does no I/O, knows no clock and no model. Offline rendering is this value fed with a file, a live session is this
/// value fed as the words come; however the samples are cut, the frames are the same.
///
/// ```
/// append(samples) ──► takeMelWindows() ──► [audio encoder] ──► accept(rows) ──► nextFrame()
/// ```
public struct SpeechTimeline: Sendable {
    /// The frames to produce; mel windows that they do not need are not encoded.
    public let frames: Range<Int>
    private let family: GeneratorFamily
    private let choice: FeatureWindow.Choice
    private let lookahead: Int

    private var mel: MelStream
    /// Mel columns from `firstColumn` on, (columns, bands).
    private var columns: [Float] = []
    private var firstColumn = 0
    private var columnCount = 0
    private var nextMelWindow: Int
    /// Mel windows, and so feature rows, of the whole signal; known once it has ended.
    private var rowTotal: Int?
    /// Feature rows F[firstRow]…, (rows, row width).
    private var rows: [Float] = []
    private var firstRow: Int
    private var rowsAccepted: Int
    /// Whether the mel windows from `firstRow` on hear digital silence.
    private var silence: [Bool] = []
    private var nextIndex: Int

    /// A timeline at the beginning of its speech.
    ///
    /// - Parameters:
    ///   - family: What the networks hear.
    ///   - frames: The frames wanted, all by default.
    ///   - choice: How the rows of a frame are chosen, the family's first way by default.
    ///   - lookahead: Feature rows after its own that a frame hears, from the family's shortest look-ahead to all of its feature
    ///     window, which is the default; those beyond are zeros. Fewer make a live session quicker and its mouth worse.
    public init(
        _ family: GeneratorFamily, frames: Range<Int> = 0..<Int.max, choice: FeatureWindow.Choice? = nil,
        lookahead: Int? = nil
    ) {
        let lookahead = lookahead ?? family.featureWindow.rowsAfter
        precondition(frames.lowerBound >= 0)
        precondition((family.shortestLookahead...family.featureWindow.rowsAfter).contains(lookahead))
        self.family = family
        self.frames = frames
        self.choice = choice ?? family.featureWindow.choices[0]
        // A tiled window has one row, its own.
        self.lookahead = choice == .tile ? max(0, lookahead) : lookahead
        mel = MelStream(family.mel)
        nextIndex = frames.lowerBound
        firstRow = family.featureWindow.firstRow(ofFrame: frames.lowerBound)
        rowsAccepted = firstRow
        nextMelWindow = firstRow
    }

    /// Samples that must have come before frame `index` can be drawn, unless the speech ends earlier: its own, and those of the
    /// last mel window that it hears.
    func samplesNeeded(forFrame index: Int) -> Int {
        let own = (index + 1) * family.samplesPerFrame
        let rows = rowsNeeded(forFrame: index)
        guard rows > 0 else { return own }
        let lastColumn = family.melWindow.start(of: rows - 1) + family.melWindow.columns - 1
        return max(own, lastColumn * family.mel.hopSamples + family.mel.windowSamples / 2)
    }

    /// Feature rows that a frame needs.
    private func rowsNeeded(forFrame index: Int) -> Int {
        family.featureWindow.rowsNeeded(forAudioRow: index + lookahead)
    }

    /// Samples accepted so far.
    public var sampleCount: Int { mel.sampleCount }

    /// Video frames of the whole speech; nil until `finish()`.
    public var frameTotal: Int? {
        rowTotal == nil ? nil : family.frameCount(samples: mel.sampleCount)
    }

    /// Whether every frame wanted was given: the rest of the speech is not needed.
    public var isComplete: Bool { nextIndex >= frames.upperBound }

    /// Takes the next samples: mono, at the family's rate, −1…1, any number.
    public mutating func append(_ samples: [Float]) {
        add(mel.append(samples))
    }

    /// Ends the speech.
    public mutating func finish() {
        add(mel.finish())
        rowTotal = family.melWindowCount(columns: columnCount)
    }

    private mutating func add(_ new: [Float]) {
        columns += new
        columnCount += new.count / family.mel.bandCount
    }

    /// Mel windows that are ready, in order, each once: (count, bands, columns), band by band as the encoder wants it.
    ///
    /// One that would reach past the end is shifted back, never padded.
    ///
    /// - Parameter limit: The most windows to take.
    public mutating func takeMelWindows(limit: Int) -> (melWindows: [Float], count: Int) {
        let bands = family.mel.bandCount
        let width = family.melWindow.columns
        let lastNeeded =
            frames.upperBound == Int.max ? Int.max : frames.upperBound + family.featureWindow.rowsAfter - 1
        var melWindows: [Float] = []
        var count = 0
        while count < limit, nextMelWindow <= lastNeeded {
            var start = family.melWindow.start(of: nextMelWindow)
            if start + width > columnCount {
                guard let rowTotal, nextMelWindow < rowTotal else { break }
                start = columnCount - width
            }
            let base = (start - firstColumn) * bands
            for band in 0..<bands {
                for column in 0..<width { melWindows.append(columns[base + column * bands + band]) }
            }
            silence.append(columns[base..<base + bands * width].allSatisfy { $0 == family.mel.silence })
            nextMelWindow += 1
            count += 1
        }
        // A later window may be shifted back to the last columns: keep those, unless no window is needed any more.
        let next = family.melWindow.start(of: nextMelWindow)
        let keep = nextMelWindow > lastNeeded ? columnCount : min(next, columnCount - width)
        if keep > firstColumn {
            columns.removeFirst((keep - firstColumn) * bands)
            firstColumn = keep
        }
        return (melWindows, count)
    }

    /// Takes the encoder's answer to the mel windows taken, in order: (count, row width).
    public mutating func accept(rows new: [Float]) {
        let width = family.featureWindow.rowWidth
        precondition(new.count % width == 0)
        rows += new
        rowsAccepted += new.count / width
        precondition(rowsAccepted <= nextMelWindow, "more rows than mel windows")
    }

    /// Whether `nextFrame()` will give one.
    var isFrameReady: Bool {
        guard nextIndex < frames.upperBound else { return false }
        let needed = rowsNeeded(forFrame: nextIndex)
        if let rowTotal {
            return nextIndex < family.frameCount(samples: mel.sampleCount) && rowsAccepted >= min(needed, rowTotal)
        }
        return rowsAccepted >= needed && mel.sampleCount >= (nextIndex + 1) * family.samplesPerFrame
    }

    /// The next frame in order whose rows are all known; nil when more input is needed or all frames were given.
    public mutating func nextFrame() -> FrameJob? {
        guard isFrameReady else { return nil }
        let job = FrameJob(
            index: nextIndex, featureWindow: featureWindow(at: nextIndex), isSilent: isSilent(at: nextIndex))
        nextIndex += 1
        let oldest = family.featureWindow.firstRow(ofFrame: nextIndex)
        if let rowTotal, oldest >= rowTotal { return job }  // the last row may be needed once more
        if oldest > firstRow {
            rows.removeFirst((oldest - firstRow) * family.featureWindow.rowWidth)
            silence.removeFirst(oldest - firstRow)
            firstRow = oldest
        }
        return job
    }

    private func featureWindow(at index: Int) -> [Float] {
        let shape = family.featureWindow
        var window: [Float] = []
        window.reserveCapacity(shape.count)
        for r in shape.audioRows(ofFrame: index, choice) {
            if r <= index + lookahead, let row = acceptedRow(r) {
                let start = (row - firstRow) * shape.rowWidth
                window += rows[start..<start + shape.rowWidth]
            } else {
                window += repeatElement(0, count: shape.rowWidth)
            }
        }
        return window
    }

    private func isSilent(at index: Int) -> Bool {
        // A row that was cut off does not count as silence.
        (lookahead == family.featureWindow.rowsAfter || choice == .tile)
            && family.featureWindow.audioRows(ofFrame: index, choice).allSatisfy { r in
                acceptedRow(r).map { silence[$0 - firstRow] } ?? false
            }
    }

    /// The feature row that audio row r is; nil outside of the speech.
    private func acceptedRow(_ r: Int) -> Int? {
        guard let row = family.featureWindow.featureRow(ofAudioRow: r, total: rowTotal) else { return nil }
        return row >= firstRow && row < rowsAccepted ? row : nil
    }
}
