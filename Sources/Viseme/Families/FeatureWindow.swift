/// The feature rows that the generator hears for one video frame.
///
/// The *audio rows* of some speech are the encoder's feature rows F[0] … F[n−1], with the first and the last one `edgeCopies` times
/// more. Frame k hears the audio rows k − `rowsBefore` … k + `rowsAfter`; rows outside of the speech are zeros.
public struct FeatureWindow: Sendable, Equatable {
    /// How a frame's rows are chosen: the key `featureWindow` of `avatar.json`.
    public enum Choice: String, Sendable, Codable, CaseIterable {
        /// The rows k−8 … k+7 around the frame: what the reference's training used.
        case rows16
        /// The rows k−27…k+4 around the frame: what the compact family hears.
        case rows32
        /// One row repeated 16 times: what several runtime ports did. Only for packs that were tuned to it.
        case tile
    }

    /// Values in a row.
    public let rowWidth: Int
    /// Rows in a window.
    public let rows: Int
    /// Rows before the frame's own.
    public let rowsBefore: Int
    /// How often the first and the last feature row are repeated.
    public let edgeCopies: Int
    /// The choices that packs of the family may make, the usual one first.
    public let choices: [Choice]

    /// Describes windows.
    public init(rowWidth: Int, rows: Int, rowsBefore: Int, edgeCopies: Int, choices: [Choice]) {
        (self.rowWidth, self.rows, self.rowsBefore) = (rowWidth, rows, rowsBefore)
        (self.edgeCopies, self.choices) = (edgeCopies, choices)
    }

    /// Rows after the frame's own.
    public var rowsAfter: Int { rows - rowsBefore - 1 }
    /// Values in a window.
    public var count: Int { rows * rowWidth }

    /// The audio rows of a frame, in the window's order.
    func audioRows(ofFrame index: Int, _ choice: Choice) -> [Int] {
        switch choice {
        case .rows16, .rows32: (0..<rows).map { index - rowsBefore + $0 }
        case .tile: [Int](repeating: index, count: rows)
        }
    }

    /// The feature row that audio row r is; nil outside of the speech.
    ///
    /// - Parameter total: Feature rows of the whole speech; nil while it has not ended.
    func featureRow(ofAudioRow r: Int, total: Int?) -> Int? {
        guard r >= 0 else { return nil }
        let k = max(0, r - edgeCopies)
        guard let total, k >= total else { return k }
        return k < total + edgeCopies ? total - 1 : nil
    }

    /// The first feature row that a frame, or a later one, may hear.
    func firstRow(ofFrame index: Int) -> Int { max(0, index - rowsBefore - edgeCopies) }

    /// Feature rows that must be there before audio row r is known, unless the speech ends earlier.
    func rowsNeeded(forAudioRow r: Int) -> Int { r < 0 ? 0 : max(1, r - edgeCopies + 1) }

    /// All audio rows with the first and the last feature row repeated, (n + 2·edgeCopies, rowWidth).
    ///
    /// - Parameter features: (n, rowWidth).
    func audioRows(of features: [Float]) -> [Float] {
        let first = features.prefix(rowWidth)
        let last = features.suffix(rowWidth)
        return (0..<edgeCopies).flatMap { _ in first } + features + (0..<edgeCopies).flatMap { _ in last }
    }

    /// The same row for the whole window, such as that of digital silence.
    public func filled(with row: [Float]) -> [Float] { (0..<rows).flatMap { _ in row } }

    /// The window of the next frame when nothing more is said: everything after its own frame is silence.
    ///
    /// The rows before keep the speech, as at the end of any speech; after `rowsBefore` frames they are silent, too.
    ///
    /// - Parameter silence: The window of digital silence.
    func following(_ window: [Float], silence: [Float]) -> [Float] {
        var next = Array(window[rowWidth..<(rowsBefore + 1) * rowWidth])
        for row in 0..<rowsBefore where next[row * rowWidth..<(row + 1) * rowWidth].allSatisfy({ $0 == 0 }) {
            // A row outside the speech: now it is known that there was silence.
            next.replaceSubrange(row * rowWidth..<(row + 1) * rowWidth, with: silence[..<rowWidth])
        }
        return next + silence[..<((rows - rowsBefore) * rowWidth)]
    }
}
