/// Which utterances of a session are not over, how far each has come, and which have ended. Each ends exactly once.
///
/// A value that is told what happens: it knows no clock and no samples.
struct UtteranceLedger: Sendable {
    private struct Entry {
        let number: Int
        /// It goes on after a pause, until it is finished.
        let isHeld: Bool
        var isFinished = false
        var isBegun = false
        var position = 0
    }

    /// Those that are not over, in their order.
    private var entries: [Entry] = []
    private var ends: [LiveUtterance.End] = []
    private var count = 0

    /// The utterance that samples belong to; nil when the next ones begin another.
    var open: (number: Int, isHeld: Bool)? {
        entries.last.flatMap { $0.isFinished ? nil : ($0.number, $0.isHeld) }
    }

    /// Begins an utterance, and finishes the one before.
    mutating func begin(isHeld: Bool) -> Int {
        finish()
        count += 1
        entries.append(Entry(number: count, isHeld: isHeld))
        return count
    }

    /// Nothing more will come of the open utterance.
    mutating func finish() {
        if let last = entries.indices.last { entries[last].isFinished = true }
    }

    /// Ends all utterances where they are.
    mutating func interrupt() {
        ends += entries.map { LiveUtterance.End(number: $0.number, position: $0.position, isInterrupted: true) }
        entries = []
    }

    /// A unit of an utterance is given.
    ///
    /// - Parameters:
    ///   - samples: The samples of each channel in it.
    ///   - isRest: Whether nothing else of the utterance waits.
    mutating func give(_ number: Int, samples: Int, isRest: Bool) -> LiveUtterance {
        guard let index = entries.firstIndex(where: { $0.number == number }) else {
            preconditionFailure("units are given of utterances that are not over")
        }
        entries[index].position += samples
        let entry = entries[index]
        entries[index].isBegun = true
        let isLast = entry.isFinished && isRest
        if isLast { entries.remove(at: index) }
        return LiveUtterance(
            number: number, position: entry.position, isFirst: !entry.isBegun, isLast: isLast)
    }

    /// The ends that no unit told, since the last call: of interrupted utterances, and of finished ones of which nothing waits.
    ///
    /// - Parameter isWaiting: Whether anything of an utterance is still to be given.
    mutating func takeEnds(isWaiting: (Int) -> Bool) -> [LiveUtterance.End] {
        while let first = entries.first, first.isFinished, !isWaiting(first.number) {
            ends.append(LiveUtterance.End(number: first.number, position: first.position, isInterrupted: false))
            entries.removeFirst()
        }
        defer { ends = [] }
        return ends
    }
}
