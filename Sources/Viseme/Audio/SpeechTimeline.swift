/// The whole way from samples to feature windows as one value: samples in, encoder windows out, feature rows in, frames out.
///
/// It does no I/O, knows no clock and no model. Offline rendering is this value fed with a file, a live session is this
/// value fed as the words come; however the samples are cut, the frames are the same.
///
/// ```
/// append(samples) ──► takeWindows() ──► [audio encoder] ──► accept(rows) ──► nextFrame()
/// ```
public struct SpeechTimeline: Sendable {
    /// Samples of 16 kHz audio in a video frame at 25 fps.
    public static let samplesPerFrame = 640
    /// Mel columns in an encoder window: 200 ms.
    public static let windowColumns = 16
    /// Values in a feature row.
    public static let rowWidth = 512
    /// Feature rows in a feature window: frame k uses audio rows k−8 … k+7.
    public static let windowRows = 16
    private static let rowsBefore = 8
    /// Feature rows after its own that a frame hears when nothing is cut off.
    public static let fullLookahead = windowRows - rowsBefore - 1
    /// The shortest look-ahead: a row that looks no further than the frame's own 40 ms.
    static let shortestLookahead = -4

    /// A row outside the speech.
    private static let nothing = [Float](repeating: 0, count: rowWidth)

    /// How a frame's 16 rows are chosen.
    public enum FeatureWindow: String, Sendable, Codable, CaseIterable {
        /// The rows k−8 … k+7 around the frame: what the reference's training used.
        case rows16
        /// One row repeated 16 times: what several runtime ports did. Only for packs that were tuned to it.
        case tile
    }

    /// The frames to produce; windows that they do not need are not encoded.
    public let frames: Range<Int>
    private let featureWindow: FeatureWindow
    private let lookahead: Int

    private var mel = MelStream()
    /// Mel columns from `firstColumn` on, (columns, 80).
    private var columns: [Float] = []
    private var firstColumn = 0
    private var columnCount = 0
    private var nextWindow = 0
    /// Encoder frames of the whole signal; known once it has ended.
    private var windowTotal: Int?
    /// Feature rows F[firstRow]…, (rows, 512).
    private var rows: [Float] = []
    private var firstRow: Int
    private var rowsAccepted: Int
    /// Whether the encoder windows from `firstRow` on hear digital silence.
    private var silence: [Bool] = []
    private var nextIndex: Int

    /// A timeline at the beginning of its speech.
    ///
    /// - Parameters:
    ///   - frames: The frames wanted, all by default.
    ///   - featureWindow: How the rows of a frame are chosen.
    ///   - lookahead: Feature rows after its own that a frame hears, −4…7; those beyond are zeros. Fewer make a live
    ///     session quicker and its mouth worse.
    public init(
        frames: Range<Int> = 0..<Int.max, featureWindow: FeatureWindow = .rows16, lookahead: Int = fullLookahead
    ) {
        precondition(frames.lowerBound >= 0)
        precondition((Self.shortestLookahead...Self.fullLookahead).contains(lookahead))
        self.frames = frames
        self.featureWindow = featureWindow
        // A tiled window has one row, its own.
        self.lookahead = featureWindow == .tile ? max(0, lookahead) : lookahead
        nextIndex = frames.lowerBound
        // Audio row r is F[r - 1]: the first frame's first row is F[lowerBound - 9].
        firstRow = max(0, frames.lowerBound - Self.rowsBefore - 1)
        rowsAccepted = firstRow
        nextWindow = firstRow
    }

    /// Encoder frames of a mel with T columns, in Float64 and in this order, as the reference computes it.
    public static func windowCount(columns: Int) -> Int {
        Int(Double(columns - 16) / 80.0 * 25.0) + 2
    }

    /// Video frames for `samples` samples at 16 kHz: the video is never shorter than the audio.
    public static func frameCount(samples: Int) -> Int {
        (samples + samplesPerFrame - 1) / samplesPerFrame
    }

    /// Samples that must have come before frame `index` can be drawn, unless the speech ends earlier: its own 40 ms, and the 16
    /// mel columns of the last row that it hears.
    func samplesNeeded(forFrame index: Int) -> Int {
        let own = (index + 1) * Self.samplesPerFrame
        let windows = windowsNeeded(forFrame: index)
        guard windows > 0 else { return own }
        let lastColumn = 16 * (windows - 1) / 5 + Self.windowColumns - 1
        return max(own, lastColumn * MelStream.hopSamples + MelStream.windowSamples / 2)
    }

    /// Encoder frames that a frame needs: its last audio row is F[index + lookahead − 1], and audio row 0 is F[0] as well.
    private func windowsNeeded(forFrame index: Int) -> Int {
        let lastRow = index + lookahead
        return lastRow < 0 ? 0 : max(1, lastRow)
    }

    /// The look-ahead in rows that hears no further than `duration` after a frame's beginning.
    ///
    /// 452.5 ms and more is the full look-ahead; a frame always hears its own 40 ms.
    static func lookahead(within duration: Duration) -> Int {
        let samples = Int((duration / .milliseconds(1) * 16).rounded(.down))
        let reach = windowColumns * MelStream.hopSamples + MelStream.windowSamples / 2 - MelStream.hopSamples
        let rows = Int((Double(max(samples, samplesPerFrame) - reach) / Double(samplesPerFrame)).rounded(.down)) + 1
        return min(fullLookahead, max(shortestLookahead, rows))
    }

    /// Samples accepted so far.
    public var sampleCount: Int { mel.sampleCount }

    /// Video frames of the whole speech; nil until `finish()`.
    public var frameTotal: Int? {
        windowTotal == nil ? nil : Self.frameCount(samples: mel.sampleCount)
    }

    /// Whether every frame wanted was given: the rest of the speech is not needed.
    public var isComplete: Bool { nextIndex >= frames.upperBound }

    /// Takes the next samples: mono, 16 kHz, −1…1, any number.
    public mutating func append(_ samples: [Float]) {
        add(mel.append(samples))
    }

    /// Ends the speech.
    public mutating func finish() {
        add(mel.finish())
        windowTotal = Self.windowCount(columns: columnCount)
    }

    private mutating func add(_ new: [Float]) {
        columns += new
        columnCount += new.count / MelStream.bandCount
    }

    /// Encoder windows that are ready, in order, each once: (count, 80, 16), mel-major as the encoder wants it.
    ///
    /// Window k starts at column floor(16k/5); one that would reach past the end is shifted back, never padded.
    ///
    /// - Parameter limit: The most windows to take.
    public mutating func takeWindows(limit: Int) -> (windows: [Float], count: Int) {
        let bands = MelStream.bandCount
        let width = Self.windowColumns
        let lastNeeded =
            frames.upperBound == Int.max ? Int.max : frames.upperBound + Self.windowRows - Self.rowsBefore - 2
        var windows: [Float] = []
        var count = 0
        while count < limit, nextWindow <= lastNeeded {
            var start = 16 * nextWindow / 5
            if start + width > columnCount {
                guard let windowTotal, nextWindow < windowTotal else { break }
                start = columnCount - width
            }
            let base = (start - firstColumn) * bands
            for band in 0..<bands {
                for column in 0..<width { windows.append(columns[base + column * bands + band]) }
            }
            silence.append(columns[base..<base + bands * width].allSatisfy { $0 == MelStream.silence })
            nextWindow += 1
            count += 1
        }
        // A later window may be shifted back to the last 16 columns: keep those, unless no window is needed any more.
        let keep = nextWindow > lastNeeded ? columnCount : min(16 * nextWindow / 5, columnCount - width)
        if keep > firstColumn {
            columns.removeFirst((keep - firstColumn) * bands)
            firstColumn = keep
        }
        return (windows, count)
    }

    /// Takes the encoder's answer to the windows taken, in order: (count, 512).
    public mutating func accept(rows new: [Float]) {
        precondition(new.count % Self.rowWidth == 0)
        rows += new
        rowsAccepted += new.count / Self.rowWidth
        precondition(rowsAccepted <= nextWindow, "more rows than windows")
    }

    /// Whether `nextFrame()` will give one.
    var isFrameReady: Bool {
        guard nextIndex < frames.upperBound else { return false }
        let needed = windowsNeeded(forFrame: nextIndex)
        if let windowTotal {
            return nextIndex < Self.frameCount(samples: mel.sampleCount) && rowsAccepted >= min(needed, windowTotal)
        }
        return rowsAccepted >= needed && mel.sampleCount >= (nextIndex + 1) * Self.samplesPerFrame
    }

    /// The next frame in order whose rows are all known; nil when more input is needed or all frames were given.
    public mutating func nextFrame() -> FrameJob? {
        guard isFrameReady else { return nil }
        let job = FrameJob(index: nextIndex, window: window(at: nextIndex), isSilent: isSilent(at: nextIndex))
        nextIndex += 1
        let oldest = max(0, nextIndex - Self.rowsBefore - 1)
        if let windowTotal, oldest >= windowTotal { return job }  // the doubled last row is still needed
        if oldest > firstRow {
            rows.removeFirst((oldest - firstRow) * Self.rowWidth)
            silence.removeFirst(oldest - firstRow)
            firstRow = oldest
        }
        return job
    }

    private func window(at index: Int) -> [Float] {
        var window: [Float] = []
        window.reserveCapacity(Self.windowRows * Self.rowWidth)
        for r in audioRows(of: index) { window += r <= index + lookahead ? row(r) : Self.nothing }
        return window
    }

    private func isSilent(at index: Int) -> Bool {
        // A row that was cut off does not count as silence.
        (lookahead == Self.fullLookahead || featureWindow == .tile)
            && audioRows(of: index).allSatisfy { r in encoderFrame(r).map { silence[$0 - firstRow] } ?? false }
    }

    /// The audio rows of a frame.
    private func audioRows(of index: Int) -> [Int] {
        (0..<Self.windowRows).map { featureWindow == .tile ? index : index - Self.rowsBefore + $0 }
    }

    /// Audio row r: A = [F0, F0, F1, …, F(n−1), F(n−1)], zeros outside.
    private func row(_ r: Int) -> [Float] {
        guard let k = encoderFrame(r) else { return Self.nothing }
        let start = (k - firstRow) * Self.rowWidth
        return Array(rows[start..<start + Self.rowWidth])
    }

    /// The encoder frame that audio row r comes from; nil outside the speech.
    private func encoderFrame(_ r: Int) -> Int? {
        var k = r - 1
        if r == 0 { k = 0 }
        if let windowTotal, r == windowTotal + 1 { k = windowTotal - 1 }
        return r >= 0 && k >= firstRow && k < rowsAccepted ? k : nil
    }
}
